/**
 * Writes a few small files, as root, to a place that others own. Threat: a medium or folder with a link where a folder should be, to make
 * root write elsewhere. So every folder on the way is opened without following links and must be on the same file system, and all names are
 * relative to what was opened.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { damageOf, hasErrno, insteadOf } from '../core/errno.ts';
import { NixmakerError } from '../core/errors.ts';
import { type OpenFolder, openForeign, openForeignIn } from '../files/foreign.ts';
import { writeBeside } from '../files/write.ts';

export interface Delivery {
  readonly name: string;
  readonly text: string;
}

/**
 * Writes the files to `root/<folders…>`, each whole or not at all, and flushes them and all folders on the way.
 * @throws NixmakerError `medium-read-only`, `medium-full`, `medium-failing`
 */
export async function deliver(
  root: string,
  folders: readonly string[],
  files: readonly Delivery[],
): Promise<void> {
  const opened: OpenFolder[] = [];
  try {
    // A carrier’s folder may itself be a link: followed only if nobody but root can have put it there.
    let folder = await openForeign(root, 'follow');
    opened.push(folder);
    const { dev } = await folder.handle.stat();
    for (const name of folders) {
      const path = join(folder.path, name);
      await mkdir(path, { mode: 0o755 }).catch(insteadOf(['EEXIST'], undefined));
      folder = await openForeignIn(folder, name);
      opened.push(folder);
      if ((await folder.handle.stat()).dev !== dev)
        throw new NixmakerError('medium-read-only', `${name} is on another file system`);
    }
    for (const file of files) await writeOne(folder.path, file);
    // The folders above as well: a newly created one would be lost with its receipts if only it were flushed.
    for (const { handle } of opened.toReversed()) await handle.sync();
  } catch (error) {
    throw asMediumError(error, root);
  } finally {
    for (const { handle } of opened.reverse()) await handle.close().catch(() => undefined);
  }
}

async function writeOne(folder: string, { name, text }: Delivery): Promise<void> {
  await writeBeside(join(folder, name), async (out) => {
    await out.writeFile(text);
    await out.sync();
  });
}

/** The medium, or its server, is going away or gone. */
const ofTheMedium = [
  ...['EIO', 'EREMOTEIO', 'ENODEV', 'ENXIO', 'ENOENT', 'ENOMEDIUM'],
  ...['ESTALE', 'ENOTCONN', 'ETIMEDOUT', 'EHOSTDOWN', 'EHOSTUNREACH', 'ECONNABORTED', 'ECONNREFUSED'],
];

/** A medium’s own refusals; anything else is passed on. */
export function asMediumError(error: unknown, medium: string): unknown {
  if (error instanceof NixmakerError) return error;
  const damage = damageOf(error);
  const { code = '' } = error as NodeJS.ErrnoException;
  const told = (reason: 'medium-full' | 'medium-read-only' | 'medium-failing') =>
    new NixmakerError(reason, `${medium}: ${damage ?? code}`, { cause: error });
  if (hasErrno(error, 'ENOSPC', 'EDQUOT', 'EFBIG')) return told('medium-full');
  // Also a link or a file in place of a folder: nothing can be written there.
  if (hasErrno(error, 'EROFS', 'EACCES', 'EPERM', 'ELOOP', 'ENOTDIR', 'EISDIR', 'ERR_FS_EISDIR'))
    return told('medium-read-only');
  if (damage !== undefined || hasErrno(error, ...ofTheMedium)) return told('medium-failing');
  return error;
}
