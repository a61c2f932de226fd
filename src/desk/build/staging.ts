/**
 * The folder in which a run stages its work, with Nix’s roots in it. A killed run leaves it behind: gigabytes that pin as much
 * again in the store. The next run in the same place cleans it up. A lock that the kernel drops with the process says whether a run is
 * alive, not a process number: on a network share that may belong to another machine.
 */
import { lstat, mkdtemp, rename, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { hasErrno, isMissing } from '../../core/errno.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import type { HeldProcess } from '../../core/ports.ts';
import { isThere, namesIn } from '../../files/read.ts';
import { takeTurn, turnIn } from '../../files/turn.ts';
import { holdProgram, runProgram } from '../../process/run.ts';

const prefix = '.nixmaker-staging-';
/** Not locked yet: once locked it gets the other name, which others look for. */
const unlocked = '.nixmaker-new-';

export interface Staging {
  readonly path: string;
  /** For symbolic links: elsewhere if the file system has none (FAT, exFAT). */
  readonly links: string;
  /** Deletes it. */
  readonly clear: () => Promise<void>;
}

/**
 * Makes one, after deleting those of dead runs.
 * @param directory exists @param warn is told what could not be deleted
 */
export async function makeStaging(directory: string, warn: (text: string) => void): Promise<Staging> {
  for (const name of await namesIn(directory))
    if (name.startsWith(prefix) || name.startsWith(unlocked)) await sweep(join(directory, name), warn);
  const made = await mkdtemp(join(directory, unlocked));
  const held = await takeTurn({ hold: holdProgram, file: turnIn(made), verb: 'build', patience: 0 });
  const path = join(directory, prefix + made.slice(-6));
  await rename(made, path);
  const links = await placeForLinks(path);
  return {
    path,
    links,
    clear: async () => {
      if (links !== path) await rm(links, { recursive: true, force: true });
      await remove(path, held);
    },
  };
}

async function placeForLinks(path: string): Promise<string> {
  const probe = join(path, 'link');
  try {
    await symlink('nowhere', probe);
    await rm(probe);
    return path;
  } catch (error) {
    // symlink(2), vfat and CIFS.
    if (!hasErrno(error, 'EPERM', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS')) throw error;
    return mkdtemp(join(tmpdir(), 'nixmaker-links-'));
  }
}

/** Failing to delete one stops nobody from working. */
async function sweep(path: string, warn: (text: string) => void): Promise<void> {
  try {
    if (!(await isOurs(path))) return;
    const held = await takeTurn({
      hold: holdProgram,
      file: turnIn(path),
      verb: 'cleaning up',
      patience: 0,
    });
    await remove(path, held);
  } catch (error) {
    // It is alive, or another process got there first.
    if (isMissing(error) || (error instanceof NixmakerError && error.code === 'busy')) return;
    warn(`warning: cannot delete ${path}, left by an interrupted run: ${messageOf(error)}`);
  }
}

const aDay = 24 * 60 * 60 * 1000;

/** Threat: in a folder that anyone can write to (`-d /tmp`), somebody else’s link or folder. */
async function isOurs(path: string): Promise<boolean> {
  const stat = await lstat(path);
  if (!stat.isDirectory() || stat.uid !== process.geteuid?.()) return false;
  // Another process is about to lock it; and folders from before nixmaker locked them have no lock, alive or not.
  const isLocked = basename(path).startsWith(prefix) && (await isThere(turnIn(path)));
  return isLocked || Date.now() - stat.mtimeMs > aDay;
}

/**
 * The lock goes last, when nobody holds it open: on NFS and FUSE a file deleted while open stays under another name, and so does
 * the folder.
 */
async function remove(path: string, held: HeldProcess): Promise<void> {
  try {
    await removeIn(path).catch(async (error: unknown) => {
      if (!hasErrno(error, 'EACCES', 'EPERM')) throw error;
      // A chroot store’s paths are read-only folders; nobody can remove them until their owner runs chmod.
      await runProgram('chmod', ['--recursive', 'u+w', path]);
      await removeIn(path);
    });
  } finally {
    await held.release();
  }
  await rm(path, { recursive: true, force: true });
}

/** All but the lock. */
async function removeIn(path: string): Promise<void> {
  for (const name of await namesIn(path))
    if (join(path, name) !== turnIn(path)) await rm(join(path, name), { recursive: true, force: true });
}
