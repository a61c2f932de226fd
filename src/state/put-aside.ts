/**
 * Names that must not stay where systemd’s PathExistsGlob= sees them: a path unit keeps starting its service while there is one.
 *
 * Threat: a compromised agent, or a bug of ours. A folder with something in it can’t be unlinked, and root does not walk
 * through what is not its own; so it is renamed. It takes no more room than before, and goes with the agent’s next
 * request, by the agent’s own hand.
 */
import { randomBytes } from 'node:crypto';
import { rename, rm, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { hasErrno } from '../core/errno.ts';
import { eachName } from '../files/read.ts';

/** No glob matches a name that begins with a dot (glob(7)). */
const prefix = '.put-aside-';

/**
 * Removes the name, whatever it is, or renames it. No link is followed.
 * @param folder an open descriptor, see `openFolder`
 * @param name as bytes: it need not be text
 * @returns false if neither is possible
 */
export async function outOfSight(folder: string, name: Buffer): Promise<boolean> {
  const path = Buffer.concat([Buffer.from(`${folder}/`), name]);
  const aside = `${folder}/${prefix}${randomBytes(8).toString('hex')}`;
  for (const put of [() => unlink(path), () => rmdir(path), () => rename(path, aside)]) {
    try {
      await put();
      return true;
    } catch (error) {
      if (hasErrno(error, 'ENOENT')) return true;
    }
  }
  return false;
}

/** For the folder’s owner. What can’t be removed stays, and does no harm. */
export async function clearPutAside(folder: string): Promise<void> {
  for await (const name of eachName(folder))
    if (name.startsWith(prefix))
      await rm(join(folder, name), { recursive: true, force: true }).catch(() => undefined);
}
