/**
 * Whether a medium is mounted where one is to be written. Threat: files written into the folder below an unmounted mount point look
 * like a success, stay at the desk, and the stick travels empty.
 */
import { readdir, realpath } from 'node:fs/promises';
import { NixmakerError } from '../../core/errors.ts';
import type { ProcessRunner } from '../../core/ports.ts';
import { isFolder } from '../../files/read.ts';
import { listMounted, listMountPoints } from '../../media/mounts.ts';
import { runProgram } from '../../process/run.ts';

export interface MediumPlace {
  /** With links resolved. */
  readonly path: string;
  readonly isEmpty: boolean;
  /** Where something is mounted now. */
  readonly mounted: readonly string[];
  /** Where something should be mounted, by fstab(5). */
  readonly mountPoints: readonly string[];
}

/** Where desktops and people mount removable media (hier(7), udisks(8)). */
const mediaFolders = ['/media', '/run/media', '/mnt'];

const isWithin = (path: string, folder: string): boolean =>
  path === folder || path.startsWith(folder === '/' ? folder : `${folder}/`);

/** @returns why it looks like a mount point with nothing mounted */
export function unmountedBecause({ path, isEmpty, mounted, mountPoints }: MediumPlace): string | undefined {
  const longest = (all: readonly string[]) =>
    all.filter((each) => isWithin(path, each)).sort((a, b) => b.length - a.length)[0] ?? '/';
  const [holder, named] = [longest(mounted), longest(mountPoints)];
  if (named !== '/' && named.length > holder.length)
    return `${named} is a mount point in /etc/fstab, but nothing is mounted there`;
  const isBeside = mediaFolders.some((folder) => isWithin(path, folder) && !isWithin(holder, folder));
  return isBeside && isEmpty ? `${path} is an empty folder with nothing mounted on it` : undefined;
}

/** @throws NixmakerError `no-medium` */
export async function requireMedium(medium: string, run: ProcessRunner = runProgram): Promise<void> {
  if (!(await isFolder(medium)))
    throw new NixmakerError('no-medium', `${medium} is not a folder; is the medium mounted?`);
  const mounted = await listMounted(run);
  // There is no telling.
  if (mounted.length === 0) return;
  const path = await realpath(medium);
  const isEmpty = (await readdir(path)).length === 0;
  const why = unmountedBecause({ path, isEmpty, mounted, mountPoints: await listMountPoints(run) });
  if (why !== undefined)
    throw new NixmakerError('no-medium', `${why}; to write into it anyway, pass --plain-folder`);
}
