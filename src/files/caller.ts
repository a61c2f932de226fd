/**
 * The user who called sudo(8). What root creates in their folder belongs to them: with a key that only root can read they would have
 * to sign as root from then on, and a folder owned by root would stop their next command without sudo.
 */
import { type FileHandle, readlink, stat } from 'node:fs/promises';
import { dirname, relative, resolve } from 'node:path';
import { insteadOf } from '../core/errno.ts';
import { namesInForeign, type OpenFolder, openForeign, openForeignIn, openPlainFileIn } from './foreign.ts';

interface Caller {
  readonly uid: number;
  readonly gid: number;
}

/** The caller, if the folder is theirs; undefined if nobody called sudo, or it is someone else’s. */
export async function callerOf(folder: string): Promise<Caller | undefined> {
  if (process.geteuid?.() !== 0) return undefined;
  const { uid, gid } = await stat(folder);
  return uid !== 0 && String(uid) === process.env.SUDO_UID ? { uid, gid } : undefined;
}

/** More than a desk has of anything. */
const mostNames = 100_000;

/**
 * Gives the caller what root owns: the folder itself and, below it, these names with everything in them; nothing else there is
 * our business. Threat: a link, or a hard link to a file of root’s, put there meanwhile: only what was opened is given away, and
 * nothing with two names.
 */
export async function handBack(folder: string, names: readonly string[]): Promise<void> {
  const nobody = insteadOf(['ENOENT'], undefined);
  const whole = resolve(folder);
  const caller = (await callerOf(whole).catch(nobody)) ?? (await callerOf(dirname(whole)).catch(nobody));
  if (caller === undefined) return;
  const opened = await openForeign(whole).catch(insteadOf(nothing, undefined));
  if (opened !== undefined) await giveFolder(opened, names, caller);
}

/**
 * Gives the caller folders that root has just made one in the other, where the folder around them is theirs.
 * Threat: a link put in the place of one of them meanwhile, which leads to a folder of root’s.
 */
export async function handBackFolders(first: string, last: string): Promise<void> {
  const around = dirname(resolve(first));
  const caller = await callerOf(around);
  if (caller === undefined) return;
  let folder = await openForeign(around).catch(insteadOf(nothing, undefined));
  const isTheirs = (await folder?.handle.stat())?.uid === caller.uid;
  for (const name of relative(around, resolve(last)).split('/')) {
    const inside = isTheirs && folder !== undefined ? await openedIn(folder, name) : undefined;
    await folder?.handle.close();
    folder = inside;
    if ((await inside?.handle.stat())?.uid === 0) await inside?.handle.chown(caller.uid, caller.gid);
  }
  await folder?.handle.close();
}

const openedIn = (folder: OpenFolder, name: string) =>
  openForeignIn(folder, name).catch(insteadOf(nothing, undefined));

/** The caller, where the folder in which an open file really lies is theirs, whatever its name leads to by now. */
export const callerOfFile = async ({ fd }: Pick<FileHandle, 'fd'>): Promise<Caller | undefined> =>
  process.geteuid?.() === 0 ? callerOf(dirname(await readlink(`/proc/self/fd/${fd}`))) : undefined;

/** Not there, or a link, or another thing. */
const nothing = ['ENOENT', 'ENOTDIR', 'ELOOP', 'EFTYPE'];

async function giveFolder(folder: OpenFolder, names: readonly string[], caller: Caller): Promise<void> {
  try {
    for (const name of names) await giveOne(folder, name, caller);
    if ((await folder.handle.stat()).uid === 0) await folder.handle.chown(caller.uid, caller.gid);
  } finally {
    await folder.handle.close();
  }
}

async function giveOne(folder: OpenFolder, name: string, caller: Caller): Promise<void> {
  const inside = await openForeignIn(folder, name).catch(insteadOf(nothing, undefined));
  if (inside !== undefined) return giveFolder(inside, await namesInForeign(inside, mostNames), caller);
  const file = await openPlainFileIn(folder, name).catch(insteadOf(nothing, undefined));
  if (file === undefined) return;
  try {
    const { uid, nlink } = await file.stat();
    if (uid === 0 && nlink === 1) await file.chown(caller.uid, caller.gid);
  } finally {
    await file.close();
  }
}
