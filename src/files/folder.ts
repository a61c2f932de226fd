/** Folders of our own, made so that they survive a power cut. */
import { constants } from 'node:fs';
import { access, mkdir, open } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { isMissing } from '../core/errno.ts';

/** Flushes what a folder lists: without that a new or renamed file in it can be lost. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  await folder.sync().finally(() => folder.close());
}

/**
 * Makes it and what is missing above it. Where the file system is read-only Node.js says that there is no such folder; here it is
 * the system’s own word. @returns the first that was made
 */
export async function makeFolders(path: string): Promise<string | undefined> {
  try {
    return await mkdir(path, { recursive: true, mode: 0o755 });
  } catch (error) {
    if (isMissing(error)) await requireWritable(dirname(resolve(path)));
    throw error;
  }
}

/** Of the nearest folder that is there. */
async function requireWritable(path: string): Promise<void> {
  try {
    await access(path, constants.W_OK);
  } catch (error) {
    if (!isMissing(error) || dirname(path) === path) throw error;
    await requireWritable(dirname(path));
  }
}

/** The same; they are on disk when this returns. @returns the first that was made, absolute */
export async function makeFolder(path: string): Promise<string | undefined> {
  const first = await makeFolders(path);
  if (first === undefined) return undefined;
  // Each is listed in the one above it, which is flushed for its sake.
  const highest = resolve(first);
  for (let made = resolve(path); made.length >= highest.length; made = dirname(made))
    await syncFolder(dirname(made));
  return highest;
}
