/** The inbox: which files in it are candidates. Nothing is watched here (watch-inbox.ts). */
import type { Dirent } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { encryptedExtension } from '../core/bundle/encrypted.ts';
import { isLikePool, nameOf } from '../core/bundle/lookalike.ts';
import { hasErrno } from '../core/errno.ts';
import { openForeign } from '../files/foreign.ts';

export interface Candidate {
  /** `pool`: the folder of one host's manifest in a pool (bundle/pool.ts). */
  readonly format: 'bundle' | 'classic' | 'pool';
  readonly path: string;
  /** Its location may stall, lie, and be pulled out. */
  readonly onMedium?: true;
  /** Why it is not taken although it may be a bundle: its name, or its packaging. */
  readonly misnamed?: string;
  /** For a misnamed file: it is certain to be for this host. */
  readonly isForHost?: true;
}

/** What is found besides the candidates. */
export interface Beside {
  /** Receives the system’s error for a folder that can’t be read to its end; what was read counts. */
  readonly onFault: (folder: string, error: unknown) => void;
  /** Receives the path of a file that is no candidate by its name, but may still be a bundle (core/bundle/lookalike.ts). */
  readonly onOther?: (path: string, kind: 'named' | 'unknown') => void;
  /** Receives the path of a folder at the root whose name suggests a pool under another name. */
  readonly onFolder?: (path: string) => void;
  /** What looking into a folder goes through: a deadline. */
  readonly within?: <T>(folder: string, read: () => Promise<T>) => Promise<T>;
}

/** Where finished bundles go; never looked into again. */
export const doneFolder = 'done';
export const refusedFolder = 'refused';

/** Threat: a folder with millions of entries, or of things named like bundles. Whatever is beyond this is not looked at. */
const mostEntries = 1_000_000;
/** Held at one time. */
export const mostOfWindow = 1000;

/**
 * Candidates in the inbox and its folders one level deep, sorted by path, a thousand at most. Names that begin with a dot are carriers’
 * temporary files and desktop litter. What a candidate really is, opening it will tell.
 */
export async function listInbox(inbox: string, beside: Beside): Promise<readonly Candidate[]> {
  let first: Candidate[] = [];
  for await (const candidate of candidatesIn(inbox, beside)) {
    first.push(candidate);
    if (first.length > 2 * mostOfWindow) first = first.sort(byPath).slice(0, mostOfWindow);
  }
  return first.sort(byPath).slice(0, mostOfWindow);
}

/**
 * All of them, a thousand at a time and each thousand sorted by path, in the order the folders list them. Threat: as many other files as
 * the disk holds, to keep the one bundle from ever being looked at. So each name is read once per round, however many there are.
 */
export async function* inboxWindows(
  inbox: string,
  beside: Beside,
): AsyncGenerator<readonly Candidate[], void, void> {
  let window: Candidate[] = [];
  for await (const candidate of candidatesIn(inbox, beside)) {
    window.push(candidate);
    if (window.length < mostOfWindow) continue;
    yield window.sort(byPath);
    window = [];
  }
  yield window.sort(byPath);
}

/** What a name in the inbox, or in a folder of it, is taken for; undefined if it is not a candidate’s. */
export function candidateAt(inbox: string, path: string): Candidate | undefined {
  const [first = '', second, ...rest] = relative(inbox, path).split('/');
  if (rest.length > 0 || (second !== undefined && isArchive(first))) return undefined;
  return [first, second ?? ''].some((name) => name.startsWith('.')) ? undefined : asCandidate(path);
}

const byPath = (a: Candidate, b: Candidate) => (a.path < b.path ? -1 : 1);

const isArchive = (folder: string) => folder === doneFolder || folder === refusedFolder;

function asCandidate(path: string): Candidate | undefined {
  // FAT and people write capitals.
  const name = path.toLowerCase();
  if (name.endsWith('.tar') || name.endsWith(encryptedExtension)) return { format: 'bundle', path };
  return name.endsWith('.tar.gz') ? { format: 'classic', path } : undefined;
}

async function* candidatesIn(inbox: string, beside: Beside): AsyncGenerator<Candidate, void, void> {
  const look: Look = { left: mostEntries, folders: [], beside };
  yield* candidatesOf(inbox, look);
  for (const folder of look.folders) if (isLikePool(folder)) beside.onFolder?.(join(inbox, folder));
  for (const folder of look.folders.splice(0))
    if (!isArchive(folder)) yield* candidatesOf(join(inbox, folder), look);
}

interface Look {
  /** Entries that may still be looked at. */
  left: number;
  /** Those found, a thousand at most. */
  readonly folders: string[];
  readonly beside: Beside;
}

/** What file systems and desktops keep for themselves, and let nobody into. */
const ofTheSystem: ReadonlySet<string> = new Set(['lost+found', 'System Volume Information', '$RECYCLE.BIN']);

/** Recognised by name only, so that ten thousand photographs cost nothing and hide nothing. */
async function* candidatesOf(folder: string, look: Look): AsyncGenerator<Candidate, void, void> {
  try {
    for await (const entry of entriesOf(folder, look.beside)) {
      look.left -= 1;
      if (look.left < 0) break;
      if (entry.name.startsWith('.')) continue;
      if (entry.isDirectory()) {
        if (look.folders.length < mostOfWindow && !ofTheSystem.has(entry.name)) look.folders.push(entry.name);
        continue;
      }
      const candidate = asCandidate(join(folder, entry.name));
      if (candidate !== undefined) yield candidate;
      else if (entry.isFile()) tellOther(look, folder, entry.name);
    }
  } catch (error) {
    // A folder may vanish, or become a link, between being listed and being read.
    if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return;
    look.beside.onFault(folder, error);
  }
}

/** Entries requested at one time. */
const atOnce = 1024;

async function* entriesOf(folder: string, { within = plain }: Beside): AsyncGenerator<Dirent, void, void> {
  const { handle, entries } = await within(folder, async () => {
    const { path, handle } = await openForeign(folder, 'follow');
    const entries = await opendir(path, { bufferSize: atOnce }).catch(async (error: unknown) => {
      await handle.close();
      throw error;
    });
    return { handle, entries };
  });
  const next = async () => {
    const some: Dirent[] = [];
    for (let entry = await entries.read(); entry !== null; entry = await entries.read()) {
      some.push(entry);
      if (some.length === atOnce) break;
    }
    return some;
  };
  let hasFailed = false;
  try {
    for (let some = await within(folder, next); some.length > 0; some = await within(folder, next))
      yield* some;
  } catch (error) {
    hasFailed = true;
    throw error;
  } finally {
    // If it does not respond, that has already been reported, and we don’t wait for it: closing waits for reads in progress.
    const closed = Promise.all([entries.close(), handle.close()]).catch(() => undefined);
    if (!hasFailed) await closed;
  }
}

const plain = <T>(_folder: string, read: () => Promise<T>): Promise<T> => read();

function tellOther({ beside }: Look, folder: string, name: string): void {
  const kind = nameOf(name);
  if (kind === 'named' || kind === 'unknown') beside.onOther?.(join(folder, name), kind);
}
