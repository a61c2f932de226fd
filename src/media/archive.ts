/** Moves a finished bundle out of the way, with a report beside it. Never overwrites, never copies. */
import type { Stats } from 'node:fs';
import { link, lstat, mkdir, rename, rmdir, unlink } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { encryptedExtension } from '../core/bundle/encrypted.ts';
import { hasErrno, ifMissing, insteadOf } from '../core/errno.ts';
import { given } from '../core/given.ts';
import { openForeign, openForeignIn } from '../files/foreign.ts';
import { isThere } from '../files/read.ts';
import { writeBeside } from '../files/write.ts';
import type { Candidate } from './inbox.ts';
import { retainNewest } from './retain.ts';

/** The files a classic pair consists of, beside its tarball. */
export const classicCompanions = ['manifest.json', 'manifest.sig', 'index', 'meta'] as const;

export interface Archived {
  readonly bundle: string;
  readonly report: string;
  /** Older ones that were removed to make way. */
  readonly removed?: readonly string[];
}

export interface Archiving {
  readonly inbox: string;
  readonly folder: string;
  readonly report: string;
  /** How many are kept, the newest. */
  readonly keep: number;
  /** Whether what lies there is what the report is about. Threat: a newer one that has taken its place, put away without a look. */
  readonly isStillIt: () => Promise<boolean>;
}

/**
 * Moves the candidate to `<inbox>/<folder>/` and writes the report beside it.
 * A name already taken gets a number: web.tar, web.2.tar. The policy says how many older ones are kept.
 * @returns undefined if another has taken its place, which is left where it is
 *
 * Threat: anybody who may write to the inbox may put a link in place of a folder, to make us move a file of their
 * choice to where they can't write. So both folders are opened without following links, and all names are taken
 * relative to what was opened.
 */
export async function archive(
  candidate: Candidate,
  { inbox, folder, report, keep, isStillIt }: Archiving,
): Promise<Archived | undefined> {
  const judged = await lstat(candidate.path);
  if (!(await isStillIt())) return undefined;
  await mkdir(join(inbox, folder), { recursive: true });
  const target = await openForeign(join(inbox, folder));
  try {
    const source = await openForeign(dirname(candidate.path));
    try {
      const name = await moveTo(candidate, { source: source.path, target: target.path }, judged);
      if (name === undefined) return undefined;
      // Anybody who waits for the name finds the complete file.
      await writeBeside(join(target.path, `${name}.txt`), (out) => out.writeFile(report));
      const removed = await retainNewest(target.path, { newest: name, keep, companions: classicCompanions });
      return {
        bundle: join(inbox, folder, name),
        report: join(inbox, folder, `${name}.txt`),
        ...given({ removed: removed.length === 0 ? undefined : removed }),
      };
    } finally {
      await source.handle.close();
    }
  } finally {
    await target.handle.close();
  }
}

interface Folders {
  readonly source: string;
  readonly target: string;
}

/** @returns its name there; undefined if it was not the one that was judged, and is where it was */
async function moveTo(candidate: Candidate, folders: Folders, judged: Stats): Promise<string | undefined> {
  const path = join(folders.source, basename(candidate.path));
  return candidate.format === 'bundle' ? moveOne(path, folders, judged) : movePair(path, folders, judged);
}

/** Being moved leaves these as they are; inodes are not the same twice on every file system (FUSE). */
const isSame = (one: Stats, other: Stats) => one.size === other.size && one.mtimeMs === other.mtimeMs;

interface Move {
  readonly from: string;
  readonly to: string;
}

/** Replaced between the look and the move: back it goes. If its place has been taken yet again, that one is newer, and this one goes. */
async function moveBack({ from, to }: Move): Promise<void> {
  try {
    // Unlike rename(2), it overwrites nothing.
    await link(to, from);
  } catch (error) {
    // FAT has no links.
    if (!hasErrno(error, 'EEXIST')) return rename(to, from);
  }
  await unlink(to);
}

async function moveOne(from: string, { target }: Folders, judged: Stats): Promise<string | undefined> {
  const file = basename(from);
  const isEncrypted = file.toLowerCase().endsWith(encryptedExtension);
  const at = file.length - (isEncrypted ? encryptedExtension : extname(file)).length;
  const name = await freeName(target, { stem: file.slice(0, at), extension: file.slice(at) });
  const to = join(target, name);
  await rename(from, to);
  if (isSame(judged, await lstat(to))) return name;
  await moveBack({ from, to });
  return undefined;
}

async function movePair(
  path: string,
  { source, target }: Folders,
  judged: Stats,
): Promise<string | undefined> {
  const file = basename(path);
  const name = await freeName(target, { stem: file.slice(0, -'.tar.gz'.length), extension: '' });
  await mkdir(join(target, name));
  const { path: pair, handle } = await openForeignIn({ path: target }, name);
  const moved: Move[] = [];
  const move = async (each: string) => {
    const [from, to] = [join(source, each), join(pair, each)];
    await rename(from, to);
    moved.push({ from, to });
  };
  const undo = async () => {
    for (const each of moved.toReversed()) await moveBack(each);
    await rmdir(join(target, name)).catch(insteadOf(['ENOTEMPTY', 'ENOTDIR', 'ENOENT'], undefined));
  };
  try {
    for (const companion of classicCompanions) await move(companion).catch(ifMissing(undefined));
    await move(file);
    if (isSame(judged, await lstat(join(pair, file)))) return name;
    await undo();
    return undefined;
  } catch (error) {
    await undo();
    throw error;
  } finally {
    await handle.close();
  }
}

async function freeName(
  folder: string,
  { stem, extension }: { stem: string; extension: string },
): Promise<string> {
  for (let n = 1; ; n++) {
    const name = n === 1 ? `${stem}${extension}` : `${stem}.${n}${extension}`;
    if (!(await isThere(join(folder, name))) && !(await isThere(join(folder, `${name}.txt`)))) return name;
  }
}
