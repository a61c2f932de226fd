/** Writing files that are complete or absent: written beside their name first, and renamed when done. */
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { syncFolder } from './folder.ts';

const draftOf = (name: string) => `.${name}.part`;

/** One may be left of a run that was cut short. */
async function openDraft(draft: string): Promise<FileHandle> {
  await rm(draft, { force: true });
  return open(draft, 'wx', 0o644);
}

/**
 * Runs `fill` on a new file beside `target`, and only then gives it its name. Never through a link: the draft must be a new
 * file. Nothing is flushed here.
 */
export async function writeBeside(target: string, fill: (out: FileHandle) => Promise<void>): Promise<void> {
  const draft = join(dirname(target), draftOf(basename(target)));
  const out = await openDraft(draft);
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

/**
 * The same for several files of one folder, which get their names in this order. They are flushed at once: a file system with a journal and
 * its disk do together what they are asked for together.
 */
export async function writeAllWhole(folder: string, files: ReadonlyMap<string, string>): Promise<void> {
  const drafts: { readonly out: FileHandle; readonly draft: string; readonly target: string }[] = [];
  try {
    for (const [name, contents] of files) {
      const draft = join(folder, draftOf(name));
      const out = await openDraft(draft);
      drafts.push({ out, draft, target: join(folder, name) });
      await out.writeFile(contents);
    }
    const flushed = await Promise.allSettled(drafts.map(({ out }) => out.sync()));
    for (const one of flushed) if (one.status === 'rejected') throw one.reason;
    for (const { out, draft, target } of drafts) {
      await out.close();
      await rename(draft, target);
    }
  } catch (error) {
    for (const { out, draft } of drafts) {
      await out.close().catch(() => undefined);
      await rm(draft, { force: true }).catch(() => undefined);
    }
    throw error;
  }
  await syncFolder(folder);
}
