/**
 * Whether root may run a program of the operator’s. Threat: the policy names a program that somebody else can write, or in a folder in which
 * somebody else can put another in its place. That holds for each folder and each link on the way: what is run is what the name leads to by
 * then.
 */
import { access, constants, lstat, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { hasErrno } from '../core/errno.ts';
import { messageOf, NixmakerError } from '../core/errors.ts';

const writableByOthers = 0o022;
/** In such a folder nobody can replace what is someone else’s: /tmp, and the store. */
const sticky = 0o1000;
/** path_resolution(7) */
const mostLinks = 40;

/** What speaks against running it, in words for people; undefined if nothing does. */
export async function programFault(path: string): Promise<string | undefined> {
  try {
    const real = await followOwn(path);
    const found = await stat(real);
    if (!found.isFile()) return `${path} is not a program`;
    if (!isOurs(found.uid)) return `${path} belongs to user ${found.uid}, not to root`;
    if ((found.mode & writableByOthers) !== 0) return `others can write to ${path}`;
    await access(real, constants.X_OK);
    return undefined;
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return `there is no file ${path}`;
    if (hasErrno(error, 'EACCES')) return `${path} is not executable`;
    return error instanceof NixmakerError ? error.detail : messageOf(error);
  }
}

const isOurs = (uid: number): boolean => uid === 0 || uid === process.getuid?.();

/** As path_resolution(7), one name at a time. @returns the real path @throws NixmakerError `hook-failed` if others can change where it leads */
async function followOwn(path: string): Promise<string> {
  const left = path.split('/').reverse();
  let [at, links] = ['/', 0];
  while (left.length > 0) {
    const name = left.pop() ?? '';
    if (name === '' || name === '.') continue;
    await requireOwnFolder(at);
    const next = join(at, name);
    const found = await lstat(next);
    if (!found.isSymbolicLink()) {
      at = next;
      continue;
    }
    if (!isOurs(found.uid))
      throw new NixmakerError('hook-failed', `the link ${next} belongs to user ${found.uid}, not to root`);
    links += 1;
    if (links > mostLinks) throw new NixmakerError('hook-failed', `${path} leads in a circle`);
    const target = await readlink(next);
    if (target.startsWith('/')) at = '/';
    left.push(...target.split('/').reverse());
  }
  return at;
}

async function requireOwnFolder(folder: string): Promise<void> {
  const { uid, mode } = await stat(folder);
  const fault = (text: string) => new NixmakerError('hook-failed', text);
  if (!isOurs(uid)) throw fault(`the folder ${folder} belongs to user ${uid}, not to root`);
  if ((mode & writableByOthers) !== 0 && (mode & sticky) === 0) throw fault(`others can write to ${folder}`);
}
