/**
 * The only way into a folder that others own: the agent’s, the drop group’s, a carrier’s. Root has no other
 * (test/project/foreign.test.ts).
 *
 * Threat: a compromised agent, or anyone who may drop bundles, puts a link, a pipe, a device or a socket in place of any name,
 * even between two looks, to make root read or write what the link leads to, or wait for ever. So a name is pinned first
 * (open(2), O_PATH), which opens nothing; what was pinned is examined, and only a plain file or a folder is opened, by its handle and
 * no longer by its name. Nothing is ever created here.
 */
import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, opendir, readlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { hasErrno } from '../core/errno.ts';

/** Node.js has no name for it. The same on every processor NixOS runs on (asm-generic/fcntl.h). */
export const O_PATH = 0o10_000_000;

/** As many as the kernel follows (path_resolution(7)). */
const mostLinks = 40;

const byHandle = ({ fd }: FileHandle) => `/proc/self/fd/${fd}`;

const isRoot = () => process.geteuid?.() === 0;

/** What is there is not of the expected kind; worded for readers of the report. */
function wrongKind(code: 'ELOOP' | 'EFTYPE' | 'EFBIG', what: string): Error {
  return Object.assign(new Error(what), { code, syscall: 'open' });
}

/** For anything but a plain file. */
export const notPlain = (stat: Stats): Error =>
  stat.isSymbolicLink()
    ? wrongKind('ELOOP', 'it is a symbolic link')
    : wrongKind('EFTYPE', 'it is not a regular file');

export const tooLarge = (size: number, most: number): Error =>
  wrongKind('EFBIG', `it has ${size} bytes; the limit is ${most}`);

/** Whether it means that something other than a plain file or folder was found, or more than may be read, as in hostile places. */
export const isWrongKind = (error: unknown): boolean =>
  hasErrno(error, 'ELOOP', 'EFTYPE', 'EFBIG', 'ENOTDIR', 'EISDIR');

export interface OpenFolder {
  /** By its open descriptor (proc_pid_fd(5)): it stays the same folder whatever happens to its name. */
  readonly path: string;
  readonly handle: FileHandle;
}

/** Whether a link may be followed as the last name of a path: never, or if only root can have put it there. */
type LastLink = 'refuse' | 'follow';

/**
 * A handle to what the path names, through which nothing can be read yet. For root, no name on the way may be a link that somebody else
 * could have put there; other users can’t be led anywhere they couldn’t go anyway.
 */
async function pin(path: string, last: LastLink): Promise<FileHandle> {
  const wanted = resolve(path);
  if (!isRoot()) return open(wanted, last === 'follow' ? O_PATH : O_PATH | constants.O_NOFOLLOW);
  const handle = await open(wanted, O_PATH | constants.O_NOFOLLOW);
  const isTheOne = await closingOnFault(handle, async () => {
    // Where it really is: that is the path itself if no link was on the way.
    if ((await readlink(byHandle(handle))) !== wanted) return false;
    return last !== 'follow' || !(await handle.stat()).isSymbolicLink();
  });
  if (isTheOne) return handle;
  await handle.close();
  return walk(wanted, last, 0);
}

/** For something on a dead mount the kernel gives a handle, but no answer. */
async function closingOnFault<T>(handle: FileHandle, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await handle.close().catch(() => undefined);
    throw error;
  }
}

/** One name at a time, because there is a link on the way. @param links followed so far */
async function walk(path: string, last: LastLink, links: number): Promise<FileHandle> {
  const names = path.split('/').filter((name) => name !== '');
  let folder = await open('/', O_PATH | constants.O_DIRECTORY);
  try {
    for (const [i, name] of names.entries()) {
      const next = await pinIn({ path: byHandle(folder) }, name);
      const stat = await closingOnFault(next, () => next.stat());
      if (!stat.isSymbolicLink() || (i === names.length - 1 && last === 'refuse')) {
        await folder.close();
        folder = next;
        continue;
      }
      await next.close();
      if (links === mostLinks || !isRootsWord(await folder.stat(), stat))
        throw wrongKind(
          'ELOOP',
          `/${names.slice(0, i + 1).join('/')} is a symbolic link that someone else made`,
        );
      const target = await readlink(join(byHandle(folder), name));
      const rest = resolve(`/${names.slice(0, i).join('/')}`, target, ...names.slice(i + 1));
      await folder.close();
      return await walk(rest, last, links + 1);
    }
    return folder;
  } catch (error) {
    await folder.close().catch(() => undefined);
    throw error;
  }
}

/** Whether nobody but root can have put a link there. */
function isRootsWord(folder: Stats, link: Stats): boolean {
  const isShared = (folder.mode & 0o022) !== 0;
  const isSticky = (folder.mode & 0o1000) !== 0;
  return folder.uid === 0 && link.uid === 0 && (!isShared || isSticky);
}

/** The same for one name in a folder that is open. */
async function pinIn({ path }: Pick<OpenFolder, 'path'>, name: string): Promise<FileHandle> {
  return open(join(path, fileName(name)), O_PATH | constants.O_NOFOLLOW);
}

/** The name, which leads nowhere else. @throws Error with `EFTYPE` */
export function fileName(name: string): string {
  if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0'))
    throw wrongKind('EFTYPE', 'it is not a file name');
  return name;
}

/** Opens what was pinned for reading, and releases the pin. */
async function openPinned(pinned: FileHandle): Promise<FileHandle> {
  try {
    const stat = await pinned.stat();
    if (!stat.isFile()) throw notPlain(stat);
    return await open(byHandle(pinned), constants.O_RDONLY | constants.O_NONBLOCK);
  } finally {
    await pinned.close();
  }
}

/**
 * Opens a folder. Use names in it only relative to the returned path, with the functions below.
 * @param last a folder named in settings or policy may be a link made by root; one within an agent’s folder may not
 */
export async function openForeign(path: string, last: LastLink = 'refuse'): Promise<OpenFolder> {
  return openPinnedFolder(await pin(path, last));
}

/** A folder in an open one. */
export async function openForeignIn(folder: Pick<OpenFolder, 'path'>, name: string): Promise<OpenFolder> {
  return openPinnedFolder(await pinIn(folder, name));
}

async function openPinnedFolder(pinned: FileHandle): Promise<OpenFolder> {
  try {
    const handle = await open(byHandle(pinned), constants.O_RDONLY | constants.O_DIRECTORY);
    return { path: byHandle(handle), handle };
  } finally {
    await pinned.close();
  }
}

/** The same, for the duration of the work. */
export async function withForeign<T>(path: string, work: (folder: OpenFolder) => Promise<T>): Promise<T> {
  const folder = await openForeign(path, 'follow');
  try {
    return await work(folder);
  } finally {
    await folder.handle.close();
  }
}

/** Whether there is a folder, as far as can be seen. */
export const isForeignFolder = (path: string): Promise<boolean> =>
  withForeign(path, async () => true).catch(() => false);

/** A plain file by its path, opened for reading. @throws Error with `ELOOP` for a link, `EFTYPE` for anything else */
export const openPlainFile = async (path: string): Promise<FileHandle> =>
  openPinned(await pin(path, 'refuse'));

/** The same, by its name in an open folder. */
export const openPlainFileIn = async (folder: Pick<OpenFolder, 'path'>, name: string): Promise<FileHandle> =>
  openPinned(await pinIn(folder, name));

/** Names in an open folder, up to this many. */
export async function namesInForeign({ path }: Pick<OpenFolder, 'path'>, most: number): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of await opendir(path, { bufferSize: 1024 })) {
    if (names.length >= most) break;
    names.push(name);
  }
  return names;
}

/**
 * All of an open file. It may change while being read: no more is read than it had, and anything missing by then is left out.
 * @param look examines what is about to be read; throws if it should not be
 * @throws Error with `EFBIG` if it has more than `most` bytes
 */
export async function readAll(
  file: FileHandle,
  most: number,
  look: (stat: Stats) => void = () => undefined,
): Promise<Buffer> {
  const stat = await file.stat();
  look(stat);
  const { size } = stat;
  if (size > most) throw tooLarge(size, most);
  const bytes = Buffer.alloc(size);
  let done = 0;
  while (done < size) {
    const { bytesRead } = await file.read(bytes, done, size - done, done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return bytes.subarray(0, done);
}

/** All of the file with that name; undefined if file or folder is missing. */
export async function readForeign(folder: string, name: string, most: number): Promise<Buffer | undefined> {
  const file = await openForeignFile(folder, name);
  if (file === undefined) return undefined;
  try {
    return await readAll(file, most);
  } finally {
    await file.close();
  }
}

/** The file with that name, opened for reading; undefined if file or folder is missing. */
export async function openForeignFile(folder: string, name: string): Promise<FileHandle | undefined> {
  try {
    return await withForeign(folder, (open) => openPlainFileIn(open, name));
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
