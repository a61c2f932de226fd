/**
 * One at a time, where two would undo each other’s work: a pool on a medium, a host’s folder, the desk’s `fleet/`. flock(2) on a file
 * that stays, because a file’s mere presence says nothing after a kill; over NFS and CIFS it also works between machines.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { hasErrno } from '../core/errno.ts';
import { NixmakerError, printable } from '../core/errors.ts';
import type { HeldProcess, ProcessHolder } from '../core/ports.ts';

export interface Turn {
  readonly hold: ProcessHolder;
  /** The lock file; the folder above it exists. */
  readonly file: string;
  /** What is waiting for its turn, as later ones are told: `put`. */
  readonly verb: string;
  /** Called once with who holds it now. */
  readonly onWait?: ((who: string) => void) | undefined;
  /** Seconds; ten minutes if left out. 0: don’t wait. */
  readonly patience?: number;
}

/** The lock of a folder in which bundles are written. */
export const turnIn = (folder: string): string => join(folder, '.nixmaker.lock');

const tenMinutes = 600;
const mostWhoBytes = 200;

/** Ctrl-C ends us, and this with us, but not before us. It reads by itself: cat(1) would be another program to start. */
const untilReleased = ['/bin/sh', '-c', 'trap "" INT; echo locked; while read -r _; do :; done'];

/** @throws NixmakerError `busy`, with who has it; Error `ELOOP`, `EFTYPE`, `EROFS`, `EACCES` if none can be made there */
export async function inTurn<T>(turn: Turn, work: () => Promise<T>): Promise<T> {
  const turned = await takeTurn(turn);
  try {
    return await work();
  } finally {
    await turned.release();
  }
}

/** The same, until it is released or this process ends. */
export async function takeTurn(turn: Turn): Promise<HeldProcess> {
  const { file, verb, onWait, patience = tenMinutes } = turn;
  const lock = await openLock(file);
  try {
    let held = await flock(turn, lock, ['--nonblock']);
    if (held === undefined && patience > 0) {
      onWait?.(await whoHas(lock));
      held = await flock(turn, lock, ['--timeout', String(patience)]);
    }
    if (held === undefined) throw new NixmakerError('busy', `${file} is held by ${await whoHas(lock)}`);
    await sayWho(lock, `${verb}, process ${process.pid} on ${hostname()}`);
    return {
      release: async () => {
        await sayWho(lock, '');
        await lock.close();
        await held.release();
      },
    };
  } catch (error) {
    await lock.close();
    throw error;
  }
}

/** Threat: a link or a pipe in its place, on a medium, to make us write elsewhere or wait for ever. */
async function openLock(file: string): Promise<FileHandle> {
  const safely = constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const lock = await open(file, constants.O_RDWR | constants.O_CREAT | safely, 0o666).catch(
    (error: unknown) => {
      // It belongs to another user, in a shared folder: it can be locked all the same.
      if (hasErrno(error, 'EACCES')) return open(file, constants.O_RDONLY | safely);
      throw error;
    },
  );
  if ((await lock.stat()).isFile()) return lock;
  await lock.close();
  throw Object.assign(new Error(`${file} is not a regular file`), { code: 'EFTYPE' });
}

const flock = ({ hold }: Turn, { fd }: FileHandle, wait: readonly string[]) =>
  hold('flock', [...wait, '--no-fork', `/proc/${process.pid}/fd/${fd}`, ...untilReleased]);

/** For people only, so it may fail: a network file system keeps other handles from reading or writing a locked file. */
async function sayWho(lock: FileHandle, who: string): Promise<void> {
  try {
    await lock.truncate(0);
    await lock.write(who, 0);
  } catch {
    // The lock works without the name in it.
  }
}

async function whoHas(lock: FileHandle): Promise<string> {
  const { buffer, bytesRead } = await lock
    .read(Buffer.alloc(mostWhoBytes), 0, mostWhoBytes, 0)
    .catch(() => ({ buffer: Buffer.alloc(0), bytesRead: 0 }));
  return printable(buffer.toString('utf8', 0, bytesRead)) || 'another nixmaker';
}
