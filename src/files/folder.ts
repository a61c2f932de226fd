/** Our own folders, created so that they survive a power cut. */
import { constants } from 'node:fs';
import { access, mkdir, open } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { isMissing } from '../core/errno.ts';

/** Flushes a folder’s listing: without that, a new or renamed file in it can be lost. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  await folder.sync().finally(() => folder.close());
}

/**
 * Creates it and any missing parents. On a read-only file system Node.js reports a missing folder; here it is
 * the system’s own error. @returns the first one created
 */
export async function makeFolders(path: string): Promise<string | undefined> {
  try {
    return await mkdir(path, { recursive: true, mode: 0o755 });
  } catch (error) {
    if (isMissing(error)) await requireWritable(dirname(resolve(path)));
    throw error;
  }
}

/** For the nearest existing folder. */
async function requireWritable(path: string): Promise<void> {
  try {
    await access(path, constants.W_OK);
  } catch (error) {
    if (!isMissing(error) || dirname(path) === path) throw error;
    await requireWritable(dirname(path));
  }
}

/** The same, and they are on disk when this returns. @returns the first one created, absolute */
export async function makeFolder(path: string): Promise<string | undefined> {
  const first = await makeFolders(path);
  if (first === undefined) return undefined;
  // Each is listed in its parent, which is flushed for that reason.
  const highest = resolve(first);
  for (let made = resolve(path); made.length >= highest.length; made = dirname(made))
    await syncFolder(dirname(made));
  return highest;
}
