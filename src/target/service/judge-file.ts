/** What a file of the inbox is, as far as its head tells. */
import { lstat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readClassicHead } from '../../bundle/classic.ts';
import { hasHole } from '../../bundle/hole.ts';
import { hasErrno, ifMissing } from '../../core/errno.ts';
import { NixmakerError } from '../../core/errors.ts';
import { classicCompanions } from '../../media/archive.ts';
import type { Candidate } from '../../media/inbox.ts';
import type { Machine } from '../machine/machine.ts';
import { accessTo } from '../update/medium-access.ts';
import { examine, sourceOf } from '../update/open.ts';

export interface Judged {
  /** `bad` covers everything that more bytes would not fix, `unreadable` what the system gives no answer about. */
  readonly is: 'whole' | 'short' | 'bad' | 'unreadable';
  /** Signed size, once the head has been verified. */
  readonly expected?: number;
  /** Why it is not `whole`. */
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
    // A file that can’t be read may be on its way out, or its medium may come back: patience, then a report.
    if (error.code === 'io-error' || error.code === 'medium-stalled') return { is: 'unreadable', error };
    if (error.code === 'bundle-truncated' || isOurs) return { is: 'short', error };
    // Its full size is there before its bytes are.
    const [isHollow] = await Promise.allSettled([withDeadline(() => hasHole(path))]);
    if (isHollow.status === 'rejected') return unlessAnswered(isHollow.reason);
    return { is: isHollow.value ? 'short' : 'bad', error };
  }
}

function unlessAnswered(error: unknown): Judged {
  if (!(error instanceof NixmakerError)) throw error;
  return { is: 'unreadable', error };
}

/** The companions of a classic tarball may yet arrive; a compressed bundle is not a bundle. */
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
  readonly inode: number;
  /** Bytes. */
  readonly size: number;
  /** A regular file without a single byte. */
  readonly isEmpty: boolean;
}

/**
 * Whether it is the file that it was. A chmod, or another link to it, gives it another ctime, and over FUSE it may have another inode each
 * time it is looked at; another in its place has both. What is gone has not changed.
 */
export function isUnchanged(before: string, now: Fingerprint | undefined): boolean {
  if (now === undefined) return true;
  const [inode, ctime, ...others] = partsOf(before);
  const [inodeNow, ctimeNow, ...othersNow] = partsOf(now.text);
  return others.join() === othersNow.join() && (inode === inodeNow || ctime === ctimeNow);
}

function partsOf(fingerprint: string): readonly string[] {
  const [inode = '', size = '', mtime = '', ctime = '', ...companions] = fingerprint.split(':');
  return [inode, ctime, size, mtime, ...companions];
}

/** Whether this may be the same file, with more of it. Another in its place has a head of its own, and may be smaller. */
export const hasGrown = (before: Pick<Fingerprint, 'inode' | 'size'>, now: Fingerprint): boolean =>
  before.inode === now.inode && before.size <= now.size;

/**
 * Undefined if there is no file of that name: what is gone is no candidate, nor is a folder with such a name.
 * @param onFault receives the system’s error if it gives no answer
 */
export async function fingerprintOf(
  machine: Pick<Machine, 'clock' | 'settings'>,
  candidate: Candidate,
  onFault: (error: unknown) => void = () => undefined,
): Promise<Fingerprint | undefined> {
  try {
    const found = await accessTo(machine, candidate).withDeadline(() => lstat(candidate.path));
    if (found.isDirectory()) return undefined;
    const companions = candidate.format === 'classic' ? await companionsOf(machine, candidate) : '';
    return {
      text: `${found.ino}:${found.size}:${found.mtimeMs}:${found.ctimeMs}${companions}`,
      inode: found.ino,
      size: found.size,
      isEmpty: found.isFile() && found.size === 0,
    };
  } catch (error) {
    if (!hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) onFault(error);
    return undefined;
  }
}

/** A new manifest beside an old tarball is another pair. */
async function companionsOf(
  machine: Pick<Machine, 'clock' | 'settings'>,
  candidate: Candidate,
): Promise<string> {
  const { withDeadline } = accessTo(machine, candidate);
  const paths = classicCompanions.map((name) => join(dirname(candidate.path), name));
  const found = await Promise.all(
    paths.map((path) => withDeadline(() => lstat(path).catch(ifMissing(undefined)))),
  );
  return found.map((each) => (each === undefined ? ':-' : `:${each.size} ${each.mtimeMs}`)).join('');
}
