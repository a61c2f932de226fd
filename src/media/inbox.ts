/** The inbox: which files in it are candidates, and a hint whenever something in it changes. */
import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { watch } from 'chokidar';

export interface Candidate {
  readonly format: 'bundle' | 'classic';
  readonly path: string;
}

/** Where settled bundles go; never looked into again. */
export const doneFolder = 'done';
export const refusedFolder = 'refused';

/** Threat: a folder with a million entries. What is beyond this is looked at once there is less. */
const mostEntries = 10_000;

/**
 * Candidates in the inbox and its folders one deep, sorted by path. Names that begin with a dot are carriers'
 * temporary files and desktop litter. What a candidate really is, opening it will tell.
 */
export async function listInbox(inbox: string): Promise<Candidate[]> {
  const found: Candidate[] = [];
  for (const entry of await entriesOf(inbox)) {
    const path = join(inbox, entry.name);
    if (!entry.isDirectory()) found.push(...candidateOf(path));
    else if (entry.name !== doneFolder && entry.name !== refusedFolder) {
      for (const inner of await entriesOf(path)) {
        if (!inner.isDirectory()) found.push(...candidateOf(join(path, inner.name)));
      }
    }
  }
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

export function candidateOf(path: string): Candidate[] {
  if (path.endsWith('.tar')) return [{ format: 'bundle', path }];
  if (path.endsWith('.tar.gz')) return [{ format: 'classic', path }];
  return [];
}

async function entriesOf(folder: string): Promise<Dirent[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.filter((e) => !e.name.startsWith('.')).slice(0, mostEntries);
  } catch (error) {
    // A folder may vanish between being listed and being read.
    if (['ENOENT', 'ENOTDIR', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}

export interface InboxWatch {
  close(): Promise<void>;
}

/**
 * Calls `onHint` when something in the inbox changes. Events are hints to look again, nothing more: completeness is
 * told by signed sizes, and a slow rescan elsewhere makes up for events that never came.
 */
export async function watchInbox(inbox: string, onHint: () => void): Promise<InboxWatch> {
  const settled = [join(inbox, doneFolder), join(inbox, refusedFolder)];
  const watcher = watch(inbox, {
    depth: 1,
    ignoreInitial: true,
    followSymlinks: false,
    ignored: (path) => settled.includes(path),
  });
  watcher.on('all', onHint);
  watcher.on('error', onHint);
  await new Promise<void>((resolve) => watcher.once('ready', () => resolve()));
  return { close: () => watcher.close() };
}
