/**
 * Whether root may run a program of the operator’s. Threat: the policy names a program that somebody else can write, or in a folder in which
 * somebody else can put another in its place.
 */
import { access, constants, realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { hasErrno } from '../core/errno.ts';
import { messageOf } from '../core/errors.ts';

const writableByOthers = 0o022;
/** In such a folder nobody can replace what is someone else’s: /tmp, and the store. */
const sticky = 0o1000;

/** What speaks against running it, in words for people; undefined if nothing does. */
export async function programFault(path: string): Promise<string | undefined> {
  try {
    const real = await realpath(path);
    const found = await stat(real);
    if (!found.isFile()) return `${path} is not a program`;
    const owners = [0, process.getuid?.() ?? 0];
    if (!owners.includes(found.uid)) return `${path} belongs to user ${found.uid}, not to root`;
    if ((found.mode & writableByOthers) !== 0) return `others can write to ${path}`;
    for (let folder = dirname(real); ; folder = dirname(folder)) {
      const { uid, mode } = await stat(folder);
      if (!owners.includes(uid)) return `the folder ${folder} belongs to user ${uid}, not to root`;
      if ((mode & writableByOthers) !== 0 && (mode & sticky) === 0) return `others can write to ${folder}`;
      if (folder === '/') break;
    }
    await access(real, constants.X_OK);
    return undefined;
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return `there is no file ${path}`;
    if (hasErrno(error, 'EACCES')) return `${path} is not executable`;
    return messageOf(error);
  }
}
