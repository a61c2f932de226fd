/** What was thrown, as reported to a person or a program. The system’s errors about a user’s own files are not our faults. */
import { hasErrno } from './errno.ts';
import { messageOf, NixmakerError, printable, type ReasonCode } from './errors.ts';

export interface Fault {
  readonly code: ReasonCode;
  readonly detail: string;
}

/** errno(3), with what it means to whoever named the file. */
const answers: Readonly<Record<string, readonly [ReasonCode, string]>> = {
  ENOENT: ['no-such-file', 'no such file or folder'],
  ENOTDIR: ['no-such-file', 'part of this path is not a folder'],
  EISDIR: ['no-such-file', 'this is a folder'],
  EEXIST: ['no-such-file', 'something else already has this name'],
  ENAMETOOLONG: ['no-such-file', 'the name is too long'],
  EACCES: ['no-access', 'permission denied'],
  EPERM: ['no-access', 'operation not permitted'],
  EROFS: ['no-access', 'the file system is read-only'],
  ENOSPC: ['no-space', 'no space left'],
  EDQUOT: ['no-space', 'the disk quota is used up'],
};

/** Codes that only say that a file could not be read: the system’s error, if known, says more. */
const general: readonly ReasonCode[] = ['io-error', 'key-malformed', 'keyring-malformed'];

export function faultOf(error: unknown): Fault {
  if (error instanceof NixmakerError) {
    const told = general.includes(error.code) ? answerOf(error.cause, error.detail) : undefined;
    return told ?? { code: error.code, detail: error.detail };
  }
  if (!isAnswer(error)) return { code: 'internal', detail: messageOf(error) };
  return answerOf(error) ?? { code: 'io-error', detail: messageOf(error) };
}

/** An operating system error that names the call: not Node.js’s complaints about wrong arguments. */
const isAnswer = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error && 'syscall' in error && 'errno' in error;

/** @param unnamed what to say if the system named no file: a write to one that is open */
function answerOf(error: unknown, unnamed?: string): Fault | undefined {
  if (!isAnswer(error)) return undefined;
  const known = Object.keys(answers).find((errno) => hasErrno(error, errno));
  const answer = known === undefined ? undefined : answers[known];
  if (answer === undefined) return undefined;
  const [code, said] = answer;
  return { code, detail: error.path === undefined ? (unnamed ?? said) : `${printable(error.path)}: ${said}` };
}
