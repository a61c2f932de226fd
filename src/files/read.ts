/** Reading files and folders that may be missing or unreadable. */
import { lstat, opendir, readdir, readFile, stat } from 'node:fs/promises';
import { ifMissing, insteadOf } from '../core/errno.ts';
import { messageOf, NixmakerError, type ReasonCode } from '../core/errors.ts';

/** The file's text, or undefined if there is none. */
export const readIfThere = (path: string): Promise<string | undefined> =>
  readFile(path, 'utf8').catch(ifMissing(undefined));

/** The text of a file that must exist. @throws NixmakerError of this code; the reason follows the sentence */
export const readText = (path: string, code: ReasonCode, sentence = `cannot read ${path}`): Promise<string> =>
  readFile(path, 'utf8').catch((cause: unknown) => {
    throw new NixmakerError(code, `${sentence}: ${messageOf(cause)}`, { cause });
  });

/** The folder’s entries; none if it does not exist. @param also codes that mean “none” too, for hostile places: `ENOTDIR` */
export const namesIn = (folder: string, ...also: readonly string[]): Promise<string[]> =>
  readdir(folder).catch(insteadOf(['ENOENT', ...also], []));

/** The same, a few at a time, for folders of any size. What has been yielded may be removed meanwhile. */
export async function* eachName(folder: string): AsyncGenerator<string, void, void> {
  const names = await opendir(folder, { bufferSize: 1024 }).catch(ifMissing(undefined));
  if (names !== undefined) for await (const { name } of names) yield name;
}

/** Whether anything has that name, including a dangling link. */
export const isThere = (path: string): Promise<boolean> => lstat(path).then(() => true, ifMissing(false));

/** Whether there is a folder, as far as can be seen. */
export const isFolder = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined))?.isDirectory() === true;
