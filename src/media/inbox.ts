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
/** Held at one time. */
const mostOfUse = 1000;

export interface InboxListing {
  /** Those that were asked for first, then the others by their paths. */
  readonly candidates: readonly Candidate[];
  /** There are more; the last path of these says where to go on. */
  readonly hasMore: boolean;
}

/**
 * Candidates in the inbox and its folders one deep, sorted by path. Names that begin with a dot are carriers'
 * temporary files and desktop litter. What a candidate really is, opening it will tell.
 * @param onFault takes what the system says of a folder that can’t be read to its end; what was read counts. Thrown without it
 */
export const listInbox = async (inbox: string, onFault?: OnFault): Promise<readonly Candidate[]> =>
  (await listInboxFrom(inbox, { after: '', first: new Set() }, onFault)).candidates;

type OnFault = (error: unknown) => void;

/**
 * A thousand of them at most. Threat: as many files that are none as the disk holds, to keep the one that is from ever being
 * looked at.
 * @param after only those whose paths come after it
 * @param first paths to be looked at before all others, where they are there
 */
export async function listInboxFrom(
  inbox: string,
  { after, first }: { readonly after: string; readonly first: ReadonlySet<string> },
  onFault?: OnFault,
): Promise<InboxListing> {
  const found = new FirstByPath(after, first);
  const folders = await readEntries(inbox, found, onFault);
  for (const folder of folders)
    if (folder !== doneFolder && folder !== refusedFolder)
      await readEntries(join(inbox, folder), found, onFault);
  return found.end();
}

/** The first of all paths, without all of them being held. */
class FirstByPath {
  readonly #after: string;
  readonly #first: ReadonlySet<string>;
  readonly #preferred: Candidate[] = [];
  #kept: Candidate[] = [];
  #hasMore = false;
  /** Entries that may still be looked at. */
  left = mostEntries;

  constructor(after: string, first: ReadonlySet<string>) {
    this.#after = after;
    this.#first = first;
  }

  add(path: string): void {
    const format = formatOf(path);
    if (format === undefined) return;
    if (this.#first.has(path)) this.#preferred.push({ format, path });
    else if (path > this.#after) this.#kept.push({ format, path });
    if (this.#kept.length > 2 * mostOfUse) this.#cut();
  }

  end(): InboxListing {
    this.#cut();
    return { candidates: [...this.#preferred, ...this.#kept], hasMore: this.#hasMore };
  }

  #cut(): void {
    this.#hasMore ||= this.#kept.length > mostOfUse;
    this.#kept = this.#kept.sort((a, b) => (a.path < b.path ? -1 : 1)).slice(0, mostOfUse);
  }
}

function formatOf(path: string): 'bundle' | 'classic' | undefined {
  if (path.endsWith('.tar') || path.endsWith(encryptedExtension)) return 'bundle';
  return path.endsWith('.tar.gz') ? 'classic' : undefined;
}

/** Told by name only, so that ten thousand photographs cost nothing and hide nothing. @returns the folders in it */
async function readEntries(folder: string, found: FirstByPath, onFault?: OnFault): Promise<string[]> {
  const folders: string[] = [];
  try {
    await withForeign(folder, async ({ path }) => {
      for await (const entry of await opendir(path, { bufferSize: 1024 })) {
        found.left -= 1;
        if (found.left < 0) break;
        if (entry.name.startsWith('.')) continue;
        if (!entry.isDirectory()) found.add(join(folder, entry.name));
        else if (folders.length < mostOfUse) folders.push(entry.name);
      }
    });
  } catch (error) {
    // A folder may vanish, or become a link, between being listed and being read.
    if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP')) return folders;
    if (onFault === undefined) throw error;
    onFault(error);
  }
  return folders;
}
