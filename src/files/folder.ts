/** Folders of our own, made so that they survive a power cut. */
import { mkdir, open } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/** Flushes what a folder lists: without that a new or renamed file in it can be lost. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  await folder.sync().finally(() => folder.close());
}

/** Makes it and what is missing above it; they are on disk when this returns. */
export async function makeFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o755 });
  if (first === undefined) return;
  // Each is listed in the one above it, which is flushed for its sake.
  const highest = resolve(first);
  for (let made = resolve(path); made.length >= highest.length; made = dirname(made))
    await syncFolder(dirname(made));
}
