/** What a file of the inbox is, as far as its head tells. */
import { lstat } from 'node:fs/promises';
import { readClassicHead } from '../../bundle/classic.ts';
import { hasHole } from '../../bundle/hole.ts';
import { hasErrno } from '../../core/errno.ts';
import { NixmakerError } from '../../core/errors.ts';
import type { Candidate } from '../../media/inbox.ts';
import type { Machine } from '../machine/machine.ts';
import { accessTo } from '../update/medium-access.ts';
import { examine, sourceOf } from '../update/open.ts';

export interface Judged {
  /** `bad` covers everything that more bytes would not mend, `unreadable` what the system has no answer about. */
  readonly is: 'whole' | 'short' | 'bad' | 'unreadable';
  /** Signed size, once the head could be verified. */
  readonly expected?: number;
  /** Why it is none of the first. */
  readonly error?: NixmakerError;
}

export async function judgeFile(machine: Machine, candidate: Candidate): Promise<Judged> {
  const { path, format } = candidate;
  const { withDeadline } = accessTo(machine, candidate);
  let isOurs = false;
  try {
    if (format === 'classic' && (await withDeadline(() => readClassicHead(path))) === undefined)
      return await withoutHead(machine, candidate);
    const examined = await examine(machine, sourceOf(candidate));
    isOurs = true;
    const { present, expected } = await examined.measure().finally(() => examined.close());
    return { is: present < expected ? 'short' : 'whole', expected };
  } catch (error) {
    if (!(error instanceof NixmakerError)) throw error;
    // A file that can't be read may be on its way out, or its medium may come back: patience, then a report.
    if (error.code === 'io-error' || error.code === 'medium-stalled') return { is: 'unreadable', error };
    if (error.code === 'bundle-truncated' || isOurs) return { is: 'short', error };
    // Its size is there before its bytes are.
    const [isHollow] = await Promise.allSettled([withDeadline(() => hasHole(path))]);
    if (isHollow.status === 'rejected') return unlessAnswered(isHollow.reason);
    return { is: isHollow.value ? 'short' : 'bad', error };
  }
}

function unlessAnswered(error: unknown): Judged {
  if (!(error instanceof NixmakerError)) throw error;
  return { is: 'unreadable', error };
}

/** What belongs beside a classic tarball may yet come; a bundle that was compressed is none. */
async function withoutHead(machine: Machine, candidate: Candidate): Promise<Judged> {
  try {
    const examined = await examine(machine, sourceOf(candidate));
    await examined.close();
  } catch (error) {
    if (error instanceof NixmakerError) return { is: error.code === 'misnamed' ? 'bad' : 'short', error };
    throw error;
  }
  return { is: 'short' };
}

export interface Fingerprint {
  readonly text: string;
  /** Bytes. */
  readonly size: number;
  /** A plain file without a byte. */
  readonly isEmpty: boolean;
}

/**
 * Undefined where there is no file of that name: what is gone is no candidate, nor is a folder that is named like one.
 * @param onFault takes what the system says where it has no answer
 */
export async function fingerprintOf(
  machine: Pick<Machine, 'clock' | 'settings'>,
  candidate: Candidate,
  onFault: (error: unknown) => void = () => undefined,
): Promise<Fingerprint | undefined> {
  try {
    const found = await accessTo(machine, candidate).withDeadline(() => lstat(candidate.path));
    if (found.isDirectory()) return undefined;
    return {
      text: `${found.ino}:${found.size}:${found.mtimeMs}:${found.ctimeMs}`,
      size: found.size,
      isEmpty: found.isFile() && found.size === 0,
    };
  } catch (error) {
    if (!hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) onFault(error);
    return undefined;
  }
}
