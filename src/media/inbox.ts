/** The inbox: which files in it are candidates. Nothing is watched here (watch-inbox.ts). */
import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { encryptedExtension } from '../core/bundle/encrypted.ts';
import { hasErrno } from '../core/errno.ts';
import { withForeign } from '../files/foreign.ts';

export interface Candidate {
  /** `pool`: the folder of one host's manifest in a pool (bundle/pool.ts). */
  readonly format: 'bundle' | 'classic' | 'pool';
  readonly path: string;
  /** It lies where it may stall, lie, and be pulled out. */
  readonly onMedium?: true;
}

/** Where bundles go that are done with; never looked into again. */
export const doneFolder = 'done';
export const refusedFolder = 'refused';

/** Threat: a folder with millions of entries, or of things named like bundles. What is beyond is not looked at. */
const mostEntries = 1_000_000;
const mostOfUse = 1000;

/**
 * Candidates in the inbox and its folders one deep, sorted by path. Names that begin with a dot are carriers'
 * temporary files and desktop litter. What a candidate really is, opening it will tell.
 * @param onFault takes what the system says of a folder that can’t be read to its end; what was read counts. Thrown without it
 */
export async function listInbox(inbox: string, onFault?: (error: unknown) => void): Promise<Candidate[]> {
  const found: Candidate[] = [];
  const { files, folders } = await entriesOf(inbox, onFault);
  found.push(...files);
  for (const folder of folders) {
    if (folder !== doneFolder && folder !== refusedFolder)
      found.push(...(await entriesOf(join(inbox, folder), onFault)).files);
  }
  return found.sort((a, b) => (a.path < b.path ? -1 : 1)).slice(0, mostOfUse);
}

function candidateOf(path: string): Candidate[] {
  if (path.endsWith('.tar') || path.endsWith(encryptedExtension)) return [{ format: 'bundle', path }];
  if (path.endsWith('.tar.gz')) return [{ format: 'classic', path }];
  return [];
}

/** Told by name only, so that ten thousand photographs cost nothing and hide nothing. */
async function entriesOf(
  folder: string,
  onFault?: (error: unknown) => void,
): Promise<{ files: Candidate[]; folders: string[] }> {
  const files: Candidate[] = [];
  const folders: string[] = [];
  let seen = 0;
  try {
    await withForeign(folder, async ({ path }) => {
      for await (const entry of await opendir(path, { bufferSize: 1024 })) {
        seen += 1;
        if (seen > mostEntries) break;
        if (entry.name.startsWith('.')) continue;
        if (!entry.isDirectory()) files.push(...candidateOf(join(folder, entry.name)));
        else if (folders.length < mostOfUse) folders.push(entry.name);
      }
    });
  } catch (error) {
    // A folder may vanish, or become a link, between being listed and being read.
    if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP')) return { files, folders };
    if (onFault === undefined) throw error;
    onFault(error);
  }
  return { files, folders };
}
