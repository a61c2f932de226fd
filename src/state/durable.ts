/** Files that survive a power cut: written beside, flushed, renamed, and the folder flushed too. */
import { mkdir, open, readdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import writeFileAtomic from 'write-file-atomic';

/** Our files are ours, and the services may not call chown; `false` is documented, but its types lack it. */
const noChown = { chown: false } as object;

/** write-file-atomic flushes the file but not the folder; without that the rename itself can be lost. */
export async function writeDurably(path: string, text: string, mode = 0o644): Promise<void> {
  await makeFolder(dirname(path));
  await writeFileAtomic(path, text, { mode, fsync: true, ...noChown });
  await syncFolder(dirname(path));
}

export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  await folder.sync().finally(() => folder.close());
}

export async function makeFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o755 });
  if (first !== undefined) await syncFolder(dirname(first));
}

/** The file's text, or undefined where there is none. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** What lies in the folder; nothing where there is none. */
export async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
