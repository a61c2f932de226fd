/**
 * What lies in folders that others own, read at once, on this thread. Passing each call on to the thread pool, as foreign.ts does, costs several
 * times the call itself, and a medium of a thousand hosts takes twenty thousand calls. Only for verbs of the desk that have nothing else to do
 * meanwhile: in a service, a medium that stalls would stall everything.
 *
 * The threat is the one in foreign.ts, and so are the rules: nothing is opened but plain files and folders, one name at a time, below a folder
 * that foreign.ts has opened, and no link is followed.
 */
import { closeSync, constants, type Dirent, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { isMissing } from '../core/errno.ts';
import { fileName, notPlain, O_PATH, type OpenFolder, tooLarge } from './foreign.ts';

/** By its open descriptor, as in foreign.ts. */
export type FolderNow = Pick<OpenFolder, 'path'>;

const byDescriptor = (descriptor: number) => `/proc/self/fd/${descriptor}`;

/**
 * A folder in an open one, for as long as the work takes. With O_DIRECTORY the kernel looks what is there before it opens it: no pipe and no
 * device is opened (open(2)). @throws the system’s errors
 */
export function inFolderNow<T>({ path }: FolderNow, name: string, work: (folder: FolderNow) => T): T {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  const folder = openSync(`${path}/${fileName(name)}`, flags);
  try {
    return work({ path: byDescriptor(folder) });
  } finally {
    closeSync(folder);
  }
}

export const entriesNow = ({ path }: FolderNow): Dirent[] => readdirSync(path, { withFileTypes: true });

/**
 * All of the plain file with that name; undefined if there is none.
 * @throws the system’s errors, and those of foreign.ts: `ELOOP` for a link, `EFTYPE` for anything else, `EFBIG` beyond `most` bytes
 */
export function readNow({ path }: FolderNow, name: string, most: number): Buffer | undefined {
  const pinned = pinNow(`${path}/${fileName(name)}`);
  if (pinned === undefined) return undefined;
  try {
    const stat = fstatSync(pinned);
    if (!stat.isFile()) throw notPlain(stat);
    if (stat.size > most) throw tooLarge(stat.size, most);
    const file = openSync(byDescriptor(pinned), constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      return readUpTo(file, stat.size);
    } finally {
      closeSync(file);
    }
  } finally {
    closeSync(pinned);
  }
}

function pinNow(path: string): number | undefined {
  try {
    return openSync(path, O_PATH | constants.O_NOFOLLOW);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** It may shrink meanwhile; whatever it has grown by is left out. */
function readUpTo(file: number, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  let done = 0;
  while (done < size) {
    const got = readSync(file, bytes, done, size - done, done);
    if (got === 0) break;
    done += got;
  }
  return bytes.subarray(0, done);
}
