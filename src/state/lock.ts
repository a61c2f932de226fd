/**
 * One nixmaker at a time on a machine: agent and command line share this lock. flock(1) holds it in a child whose
 * standard input is our pipe, so that it is released however we end, SIGKILL included; a lock file's mere
 * presence means nothing.
 */
import { lstat, readFile, readlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ifMissing, isMissing } from '../core/errno.ts';
import { NixmakerError } from '../core/errors.ts';
import type { HeldProcess, ProcessHolder } from '../core/ports.ts';
import { makeFolder } from '../files/folder.ts';
import { isWrongKind, openPlainFileIn, withForeign } from '../files/foreign.ts';

const lockFile = 'lock';

/** By its full name: a NixOS service has no sh on its PATH. */
const untilReleased = ['/bin/sh', '-c', 'echo locked; exec cat'];

/**
 * @param stateDirectory this process’s own
 * @param wait flock(1)'s option on waiting: not at all, or `--timeout` and seconds
 * @throws NixmakerError `busy`
 */
export async function acquireLock(
  hold: ProcessHolder,
  stateDirectory: string,
  wait: readonly string[] = ['--nonblock'],
): Promise<HeldProcess> {
  const file = join(stateDirectory, lockFile);
  const held = await tryLock(hold, file, wait);
  if (held === undefined) throw new NixmakerError('busy', `${file} is held by another nixmaker`);
  return held;
}

async function tryLock(
  hold: ProcessHolder,
  file: string,
  wait: readonly string[],
): Promise<HeldProcess | undefined> {
  await makeFolder(dirname(file));
  return hold('flock', [...wait, '--no-fork', file, ...untilReleased]);
}

/** Seconds: longer than what one repair exchanges is read. */
const repairPatience = '1800';

/**
 * One repair at a time, whoever began it; updates go on meanwhile. @param floorDirectory root’s own @param onWait called if another has it
 * @throws NixmakerError `busy`
 */
export async function acquireRepairLock(
  hold: ProcessHolder,
  floorDirectory: string,
  onWait: () => void,
): Promise<HeldProcess> {
  const file = join(floorDirectory, 'repair.lock');
  const held = await tryLock(hold, file, ['--nonblock']);
  if (held !== undefined) return held;
  onWait();
  const later = await tryLock(hold, file, ['--timeout', repairPatience]);
  if (later === undefined) throw new NixmakerError('busy', `${file} is held by another repair`);
  return later;
}

/**
 * Whether anybody holds it, without touching it: trying to take it would block whoever comes meanwhile. Identified by the inode of
 * its file only (proc_locks(5)), because on some file systems (btrfs) the device there is not stat(2)’s.
 */
export const isLockHeld = (stateDirectory: string): Promise<boolean> => isListed(stateDirectory, 'FLOCK');

/** Whether anybody waits for it. */
export const isLockWanted = (stateDirectory: string): Promise<boolean> =>
  isListed(stateDirectory, '-> FLOCK');

async function isListed(stateDirectory: string, as: string): Promise<boolean> {
  const file = await lstat(join(stateDirectory, lockFile)).catch(ifMissing(undefined));
  if (file === undefined) return false;
  const line = new RegExp(`^\\d+: ${as} .*:${file.ino} \\d+ EOF$`, 'm');
  return line.test(await readFile('/proc/locks', 'utf8'));
}

/**
 * The lock of another user’s nixmaker. flock(1) gets our open file, not its name; if there is none, or something else in its place,
 * nobody can hold it.
 * @returns undefined if there is nothing to lock
 * @throws NixmakerError `busy`
 */
export async function acquireForeignLock(
  hold: ProcessHolder,
  stateDirectory: string,
): Promise<HeldProcess | undefined> {
  try {
    return await withForeign(stateDirectory, async (folder) => {
      const file = await openPlainFileIn(folder, lockFile);
      try {
        // Our own process id: to flock, “self” would be flock.
        const open = `/proc/${await readlink('/proc/self')}/fd/${file.fd}`;
        const held = await hold('flock', ['--nonblock', '--no-fork', open, ...untilReleased]);
        if (held === undefined)
          throw new NixmakerError('busy', `${stateDirectory} is held by another nixmaker`);
        return held;
      } finally {
        await file.close();
      }
    });
  } catch (error) {
    if (isMissing(error) || isWrongKind(error)) return undefined;
    throw error;
  }
}
