/**
 * MESSAGE_IDs of journal entries (systemd.journal-fields(7)): the same for a code in every version and on every machine, so that
 * they can be searched for, and explained by the catalogue (share/systemd/nixmaker.catalog).
 */
import { createHash } from 'node:crypto';
import type { ReasonCode } from '../core/errors.ts';

/** 32 hexadecimal digits, in the form of a UUID version 8, which is for custom schemes (RFC 9562, 5.8). */
function idOf(name: string): string {
  const digest = createHash('sha256').update(`nixmaker journal message: ${name}`).digest();
  digest[6] = ((digest[6] ?? 0) & 0x0f) | 0x80;
  digest[8] = ((digest[8] ?? 0) & 0x3f) | 0x80;
  return digest.subarray(0, 16).toString('hex');
}

/** For a run that ended with a code or, without one, for how it ended. */
export const messageIdOf = (ending: ReasonCode | 'committed' | 'pending' | 'staged' | 'superseded'): string =>
  idOf(ending);
