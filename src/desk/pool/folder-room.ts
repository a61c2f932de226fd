/**
 * FAT folders fill up long before a large medium does: the kernel reports the same as for a full medium, and somebody would buy a
 * larger one. So names are counted before anything is written.
 */
import { statfs } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { hostsOf } from '../../bundle/pool.ts';
import { entriesOfFolder, fatMagic, missingEntries } from '../../core/bundle/fat-names.ts';
import { hasErrno } from '../../core/errno.ts';
import { NixmakerError } from '../../core/errors.ts';
import { namesIn } from '../../files/read.ts';

/**
 * @param paths everything that will be on the medium and may not be there yet
 * @throws NixmakerError `folder-full`
 */
export async function requireFolderRoom(medium: string, paths: readonly string[]): Promise<void> {
  if ((await statfs(medium)).type !== fatMagic) return;
  for (const [folder, wanted] of Map.groupBy(withParents(paths, hostsOf(medium)), dirname)) {
    const there = await namesIn(folder);
    const missing = missingEntries({ there, wanted: wanted.map((path) => basename(path)) });
    if (missing === 0) continue;
    const place = `${relative(medium, folder)} on ${medium}`;
    throw new NixmakerError(
      'folder-full',
      `${place} has ${there.length} names; with these it would exceed FAT’s limit of ${entriesOfFolder} entries by ${missing}`,
    );
  }
}

/** Each once, with the folders created for them below `root`. */
function withParents(paths: readonly string[], root: string): string[] {
  const all = new Set(paths);
  for (const path of paths)
    for (let above = dirname(path); above.startsWith(join(root, '/')); above = dirname(above)) all.add(above);
  return [...all];
}

/** What could not be counted in advance: gaps between names, or names others create meanwhile. */
export async function asFolderFull(error: unknown, medium: string): Promise<unknown> {
  if (!hasErrno(error, 'ENOSPC')) return error;
  const { syscall, path = medium } = error as NodeJS.ErrnoException;
  // A write runs out of bytes; creating a name runs out of folder.
  if (!['open', 'mkdir', 'rename'].includes(syscall ?? '')) return error;
  const { type, bavail, bsize } = await statfs(medium);
  if (type !== fatMagic || bavail * bsize < 1024 * 1024) return error;
  const folder = relative(medium, dirname(path));
  return new NixmakerError('folder-full', `${folder} on ${medium} cannot hold more names`, { cause: error });
}
