/** Writing files that are complete or absent: written beside their name first, and renamed when done. */
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { syncFolder } from './folder.ts';

/**
 * Runs `fill` on a new file beside `target`, and only then gives it its name. Never through a link: the draft must be a new
 * file. Nothing is flushed here.
 */
export async function writeBeside(target: string, fill: (out: FileHandle) => Promise<void>): Promise<void> {
  const draft = join(dirname(target), `.${basename(target)}.part`);
  await rm(draft, { force: true });
  const out = await open(draft, 'wx', 0o644);
  try {
    await fill(out);
    await out.close();
    await rename(draft, target);
  } catch (error) {
    await out.close().catch(() => undefined);
    await rm(draft, { force: true }).catch(() => undefined);
    throw error;
  }
}

/** The same, and the file and its folder are flushed. */
export async function writeAtomically(
  target: string,
  fill: (out: FileHandle) => Promise<void>,
): Promise<void> {
  await writeBeside(target, async (out) => {
    await fill(out);
    await out.sync();
  });
  await syncFolder(dirname(target));
}

/** The same for contents in memory. */
export const writeWhole = (target: string, contents: string | Uint8Array): Promise<void> =>
  writeAtomically(target, (out) => out.writeFile(contents));
