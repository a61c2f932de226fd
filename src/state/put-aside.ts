/**
 * Names that must not stay where systemd’s PathExistsGlob= sees them: a path unit starts its service again as long as there is one.
 *
 * Threat: an agent that was taken over, or a bug of ours. A folder with something in it can’t be unlinked, and root does not walk
 * through what is not its own; so it is renamed. What is put aside takes no more room than it did, and goes with the agent’s next
 * request, by the agent’s own hand.
 */
import { randomBytes } from 'node:crypto';
import { rename, rm, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { hasErrno } from '../core/errno.ts';
import { eachName } from '../files/read.ts';

/** No glob finds a name that begins with a dot (glob(7)). */
const prefix = '.put-aside-';

/**
 * Removes the name, whatever it is, or renames it. No link is followed.
 * @param folder by its open descriptor, see `openFolder`
 * @param name as bytes: it need not be text
 * @returns false where neither can be done
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

/** For whoever owns the folder. What can’t be removed stays, and harms nothing. */
export async function clearPutAside(folder: string): Promise<void> {
  for await (const name of eachName(folder))
    if (name.startsWith(prefix))
      await rm(join(folder, name), { recursive: true, force: true }).catch(() => undefined);
}
