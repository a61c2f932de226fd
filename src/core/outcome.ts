/** What was thrown, by code: a full or failing disk is not the program’s fault. */
import { hasErrno } from './errno.ts';
import { messageOf, NixmakerError, type ReasonCode } from './errors.ts';

/** The code and detail of anything thrown. */
export function outcomeOf(error: unknown): { code: ReasonCode; detail: string } {
  if (error instanceof NixmakerError) return { code: error.code, detail: error.detail };
  const full = hasErrno(error, 'ENOSPC', 'EDQUOT');
  const fromSystem = error instanceof Error && 'syscall' in error;
  return { code: full ? 'no-space' : fromSystem ? 'io-error' : 'internal', detail: messageOf(error) };
}
