/**
 * Receipts as found on a medium, whose contents anybody may have made: no link is followed, only our own names count, and how
 * much is read per host is bounded.
 */
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { poolFolder } from '../../core/bundle/pool-folder.ts';
import { hasErrno } from '../../core/errno.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import { isReceiptName } from '../../core/receipt-name.ts';
import { isHostName } from '../../core/schema.ts';
import { type OpenFolder, openForeign } from '../../files/foreign.ts';

const mostHosts = 10_000;
/** More than a machine writes in years, and few enough to verify one by one. */
const mostOfHost = 10_000;

export interface FoundReceipts {
  readonly host: string;
  /** Where they are, for people. */
  readonly shown: string;
  /** Stays the same folder while it is being read, whatever happens to its name. */
  readonly folder: string;
  /** Newest first, by name. */
  readonly names: readonly string[];
  /** How many there are beyond those read. */
  readonly beyond: number;
}

/** What is wrong with a place, if anything. */
export interface Unusable {
  readonly shown: string;
  readonly host?: string;
  readonly error: NixmakerError;
}

/**
 * Passes each host’s receipts on the medium to `work`, one host after another, and anything irregular to `complain`.
 * @throws NixmakerError `no-medium` if there is no such folder
 */
export async function eachHostOn(
  medium: string,
  work: (found: FoundReceipts) => Promise<void>,
  complain: (unusable: Unusable) => void = () => undefined,
): Promise<void> {
  const root = await openMedium(medium);
  const shown = join(medium, poolFolder, 'receipts');
  const inside = await enter(root, [poolFolder, 'receipts'], { shown, complain });
  if (inside === undefined) return;
  try {
    const hosts = (await readdir(inside.path)).filter(isHostName).sort();
    if (hosts.length > mostHosts)
      complain({
        shown,
        error: malformed(`it has receipts from ${hosts.length} hosts; the limit is ${mostHosts}`),
      });
    for (const host of hosts.slice(0, mostHosts)) await showHost(inside, { host, shown, work, complain });
  } catch (cause) {
    complain({ shown, error: unreadable(cause) });
  } finally {
    await inside.handle.close();
  }
}

interface Showing {
  readonly host: string;
  readonly shown: string;
  readonly work: (found: FoundReceipts) => Promise<void>;
  readonly complain: (unusable: Unusable) => void;
}

async function showHost(inside: OpenFolder, { host, shown: above, work, complain }: Showing): Promise<void> {
  const shown = join(above, host);
  const folder = await openInside(inside, host, (error) => complain({ shown, host, error }));
  if (folder === undefined) return;
  try {
    const names = await newestFirst(folder.path);
    const beyond = Math.max(0, names.length - mostOfHost);
    await work({ host, shown, folder: folder.path, names: names.slice(0, mostOfHost), beyond });
  } catch (cause) {
    complain({ shown, host, error: cause instanceof NixmakerError ? cause : unreadable(cause) });
  } finally {
    await folder.handle.close();
  }
}

/** By sequence; those without one are ordered by file time, and come first: there are few. */
async function newestFirst(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).filter(isReceiptName);
  const sequenceOf = (name: string) => (name.startsWith('run-') ? Infinity : Number.parseInt(name, 10));
  const times = new Map<string, number>();
  for (const name of names.filter((n) => n.startsWith('run-')).slice(0, mostOfHost))
    times.set(name, (await lstat(join(folder, name))).mtimeMs);
  const byTime = (a: string, b: string) => (times.get(b) ?? 0) - (times.get(a) ?? 0);
  return names.sort((a, b) =>
    sequenceOf(a) === sequenceOf(b) ? byTime(a, b) : sequenceOf(b) - sequenceOf(a),
  );
}

async function openMedium(medium: string): Promise<OpenFolder> {
  return openForeign(medium, 'follow').catch((cause: unknown) => {
    if (hasErrno(cause, 'ENOENT', 'ENOTDIR'))
      throw new NixmakerError('no-medium', `${medium} is not a folder; is the medium mounted?`, { cause });
    throw new NixmakerError('io-error', `cannot read ${medium}: ${messageOf(cause)}`, { cause });
  });
}

/** Descends through folders, opening each relative to the one above; those are closed. */
async function enter(
  root: OpenFolder,
  names: readonly string[],
  { shown, complain }: Pick<Showing, 'shown' | 'complain'>,
): Promise<OpenFolder | undefined> {
  let folder: OpenFolder | undefined = root;
  for (const name of names) {
    const above: OpenFolder = folder;
    folder = await openInside(above, name, (error) => complain({ shown, error }));
    await above.handle.close();
    if (folder === undefined) return undefined;
  }
  return folder;
}

async function openInside(
  { path }: OpenFolder,
  name: string,
  complain: (error: NixmakerError) => void,
): Promise<OpenFolder | undefined> {
  try {
    return await openForeign(join(path, name));
  } catch (cause) {
    if (hasErrno(cause, 'ENOENT')) return undefined;
    complain(
      hasErrno(cause, 'ENOTDIR', 'ELOOP')
        ? malformed('it is a link or a file, not a folder')
        : unreadable(cause),
    );
    return undefined;
  }
}

const malformed = (detail: string) => new NixmakerError('receipt-malformed', detail);
const unreadable = (cause: unknown) =>
  new NixmakerError('io-error', `cannot read it: ${messageOf(cause)}`, { cause });
