/**
 * The folder in which a run stages its work, with Nix’s roots in it. One that was killed leaves it behind, gigabytes that hold as much
 * again in the store; the next run in the same place clears it away. Whether a run lives is told by a lock that falls with it, and not by
 * a process’s number: over a network it may be one of another machine.
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
/** Not locked yet: it gets the other name, by which it is looked for, when it is. */
const unlocked = '.nixmaker-new-';

export interface Staging {
  readonly path: string;
  /** For symbolic links: elsewhere where the file system has none (FAT, exFAT). */
  readonly links: string;
  /** Deletes it. */
  readonly clear: () => Promise<void>;
}

/**
 * Makes one, after those of runs that are no more are deleted.
 * @param directory is there @param warn hears of what could not be deleted
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

/** One that can’t be deleted keeps nobody from working. */
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
    // It lives, or another has been quicker.
    if (isMissing(error) || (error instanceof NixmakerError && error.code === 'busy')) return;
    warn(`warning: cannot delete ${path}, left by an interrupted run: ${messageOf(error)}`);
  }
}

const aDay = 24 * 60 * 60 * 1000;

/** Threat: in a folder that everybody may write into (`-d /tmp`), a link or a folder of somebody else’s. */
async function isOurs(path: string): Promise<boolean> {
  const stat = await lstat(path);
  if (!stat.isDirectory() || stat.uid !== process.geteuid?.()) return false;
  // Another is about to lock it; and what nixmaker left before it locked any has no lock, alive or not.
  const isLocked = basename(path).startsWith(prefix) && (await isThere(turnIn(path)));
  return isLocked || Date.now() - stat.mtimeMs > aDay;
}

/**
 * The lock at last, when nobody holds it open: over NFS and FUSE what is deleted while it is open stays under another name, and the folder
 * with it.
 */
async function remove(path: string, held: HeldProcess): Promise<void> {
  try {
    // Store paths of a chroot store are read-only folders, which only their owner’s chmod lets anybody remove.
    await runProgram('chmod', ['--recursive', 'u+w', path]);
    for (const name of await namesIn(path))
      if (join(path, name) !== turnIn(path)) await rm(join(path, name), { recursive: true, force: true });
  } finally {
    await held.release();
  }
  await rm(path, { recursive: true, force: true });
}
