/**
 * Writing a few small files to a place that others own, as root. Threat: a medium or a folder in which a link stands where
 * a folder should, to have root write elsewhere. So every folder on the way is opened without following links and must be on
 * the same file system, and all names are taken relative to what was opened.
 */
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { NixmakerError } from '../core/errors.ts';

export interface Delivery {
  readonly name: string;
  readonly text: string;
}

const folderFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/**
 * Writes the files to `root/<folders…>`, each whole or not at all, and flushes them.
 * @throws NixmakerError `medium-read-only`, `medium-full`, `medium-failing`
 */
export async function deliver(
  root: string,
  folders: readonly string[],
  files: readonly Delivery[],
): Promise<void> {
  const opened: FileHandle[] = [];
  try {
    let folder = await open(root, constants.O_RDONLY | constants.O_DIRECTORY);
    opened.push(folder);
    const { dev } = await folder.stat();
    for (const name of folders) {
      const path = join(at(folder), name);
      await mkdir(path, { mode: 0o755 }).catch(ignoreExisting);
      folder = await open(path, folderFlags);
      opened.push(folder);
      if ((await folder.stat()).dev !== dev)
        throw new NixmakerError('medium-read-only', `${name} is another file system`);
    }
    for (const file of files) await writeOne(at(folder), file);
    await folder.sync();
  } catch (error) {
    throw asMediumError(error, root);
  } finally {
    for (const folder of opened.reverse()) await folder.close().catch(() => undefined);
  }
}

/** A folder by its open descriptor (proc_pid_fd(5)): it stays the same whatever becomes of its name. */
const at = ({ fd }: FileHandle) => `/proc/self/fd/${fd}`;

async function writeOne(folder: string, { name, text }: Delivery): Promise<void> {
  const temporary = join(folder, `.${name}.part`);
  await rm(temporary, { force: true });
  const out = await open(temporary, 'wx', 0o644);
  try {
    await out.writeFile(text);
    await out.sync();
    await out.close();
    await rename(temporary, join(folder, name));
  } catch (error) {
    await out.close().catch(() => undefined);
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}

/** What a medium itself says no to; anything else is passed on. */
export function asMediumError(error: unknown, medium: string): unknown {
  if (error instanceof NixmakerError) return error;
  const { code = '' } = error as NodeJS.ErrnoException;
  const told = (reason: 'medium-full' | 'medium-read-only' | 'medium-failing') =>
    new NixmakerError(reason, `${medium}: ${code}`, { cause: error });
  if (['ENOSPC', 'EDQUOT', 'EFBIG'].includes(code)) return told('medium-full');
  // A link or a file in the place of a folder, too: nothing can be written there.
  if (['EROFS', 'EACCES', 'EPERM', 'ELOOP', 'ENOTDIR', 'EISDIR'].includes(code))
    return told('medium-read-only');
  if (['EIO', 'ENODEV', 'ENXIO', 'ENOENT', 'ESTALE'].includes(code)) return told('medium-failing');
  return error;
}
