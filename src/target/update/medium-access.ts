/**
 * Reading from a medium: it may be slow, stall, lie, and be pulled out at any moment. Every read has a deadline, and every failure becomes
 * `medium-unreadable`, after which the bundle waits for the medium to come back. Reads from the inbox have deadlines too: whoever may drop
 * bundles there can mount a file system that never responds (FUSE), or its server may go away; there, failures keep their own form.
 *
 * Each byte is read once, and its digest is checked on the way to Nix: a medium that is read twice may give a different answer the second
 * time, and takes twice as long (docs/adr/0012).
 */
import type { BundleFile } from '../../bundle/file.ts';
import { damageOf } from '../../core/errno.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import { isOnMountOfOthers } from '../../media/mounts.ts';
import type { Machine } from '../machine/machine.ts';

/** @throws NixmakerError `medium-stalled`; and what the read throws */
export type WithDeadline = <T>(read: () => Promise<T>) => Promise<T>;

export interface Access {
  /** Runs one read. @throws NixmakerError `medium-stalled`, `medium-unreadable` */
  readonly withDeadline: WithDeadline;
  /** Whether there is a deadline; our own files have none. */
  readonly isTimed: boolean;
  /** Whether all NARs are read and checked before the first is imported. */
  readonly checkFirst: boolean;
}

/** Reads that have exceeded their deadline, and on what: each holds one of this process’s few threads. */
const stalled = new Map<Promise<unknown>, Stalled>();

interface Stalled {
  readonly of: string | undefined;
  readonly onMedium: boolean;
}

/**
 * Resolves when all stalled reads below the folder have ended after all, however they end. Threat: two servers fail together and one comes
 * back: it must not have to wait for the other.
 */
export async function stalledReadsEnded(folder: string): Promise<void> {
  const isBelow = (path: string | undefined) => path === undefined || `${path}/`.startsWith(`${folder}/`);
  const reads = [...stalled].filter(([, { of }]) => isBelow(of)).map(([read]) => read);
  await Promise.allSettled(reads);
}

/** How many of this process’s few threads the inbox may occupy with reads that never end. */
const mostStalled = 2;

export function accessTo(machine: Timed, { onMedium, path, file }: Read): Access {
  const of = path ?? (typeof file === 'string' ? file : undefined);
  if (onMedium === true)
    return {
      withDeadline: (read) =>
        raceDeadline(machine, { read: () => read().catch(asMediumError), of, onMedium }),
      ...{ isTimed: true, checkFirst: false },
    };
  if (of === undefined) return plain;
  return {
    withDeadline: async (read) => {
      await requireThread(of);
      return raceDeadline(machine, { read, of, onMedium: false });
    },
    ...{ isTimed: true, checkFirst: true },
  };
}

/** Our own copy, on this machine’s own disk. */
const plain: Access = { withDeadline: (read) => read(), isTimed: false, checkFirst: true };

type Timed = Pick<Machine, 'clock' | 'settings'>;

/**
 * Threat: as many unresponsive files as there are threads, and nothing can be read any more, media included. So whatever has stalled is
 * left alone until that read has ended after all; if there are several mounts in the inbox, the others are too.
 */
async function requireThread(of: string): Promise<void> {
  const paths = [...stalled.values()].flatMap((read) => (read.onMedium ? [] : [read.of]));
  if (paths.includes(of)) throw notAnswered('an earlier read of it has not finished');
  if (paths.length < mostStalled) return;
  if (paths.length > mostStalled || (await isOnMountOfOthers(of)))
    throw notAnswered('others in this place are not responding either');
}

const notAnswered = (detail: string) => new NixmakerError('medium-stalled', detail);

/** What is being read, if it has a path. */
interface Read {
  readonly onMedium?: true | undefined;
  readonly path?: string;
  readonly file?: string | BundleFile;
}

async function raceDeadline<T>(
  { clock, settings }: Timed,
  { read, ...what }: Stalled & { readonly read: () => Promise<T> },
): Promise<T> {
  const { patience } = settings.media;
  const over = new AbortController();
  const reading = read();
  const deadline = clock.sleep(patience * 1000, over.signal).then(() => {
    const forget = () => void stalled.delete(reading);
    stalled.set(reading, what);
    reading.then(forget, forget);
    throw notAnswered(`a read did not finish within ${patience} s`);
  });
  try {
    return await Promise.race([reading, deadline]);
  } finally {
    over.abort();
    deadline.catch(() => undefined);
  }
}

/** A damaged bundle stays a damaged bundle; what the medium itself fails at is the medium’s fault. */
function asMediumError(error: unknown): never {
  if (error instanceof NixmakerError && error.code !== 'io-error') throw error;
  if (!(error instanceof NixmakerError) && !(error instanceof Error && 'syscall' in error)) throw error;
  throw unreadable(error);
}

/** A medium’s read error, reported as the medium’s own fault. */
export function unreadable(error: unknown): NixmakerError {
  const cause = error instanceof NixmakerError ? (error.cause ?? error) : error;
  const damage = damageOf(cause);
  const told = messageOf(error instanceof NixmakerError ? error.detail : error);
  const detail = damage === undefined ? told : `its file system is damaged (${damage})${placeOf(cause)}`;
  return new NixmakerError('medium-unreadable', detail, { cause: error });
}

function placeOf(error: unknown): string {
  const path = (error as NodeJS.ErrnoException).path;
  return path === undefined ? '' : `: ${messageOf(path)}`;
}

/** The file, read through `access`. */
export function fileWithDeadline(file: BundleFile, { withDeadline, isTimed }: Access): BundleFile {
  if (!isTimed) return file;
  return {
    name: file.name,
    size: () => withDeadline(() => file.size()),
    read: (position, length) => withDeadline(() => file.read(position, length)),
    readInto: (buffer, position) => withDeadline(() => file.readInto(buffer, position)),
    // Closing waits for reads in progress, and on a stalled medium none may ever end.
    close: () => withDeadline(() => file.close()).catch(() => undefined),
  };
}
