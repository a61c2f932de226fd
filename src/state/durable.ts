/** Files that survive a power cut: written beside their name, flushed, renamed, and the folder flushed too. */
import { dirname } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { makeFolder, syncFolder } from '../files/folder.ts';

/** Our files are ours, and the services may not call chown; `false` is documented, but its types lack it. */
const noChown = { chown: false } as object;

/** write-file-atomic flushes the file but not the folder; without that the rename itself can be lost. */
export async function writeDurably(path: string, contents: string | Buffer, mode = 0o644): Promise<void> {
  await makeFolder(dirname(path));
  await writeFileAtomic(path, contents, { mode, fsync: true, ...noChown });
  await syncFolder(dirname(path));
}
