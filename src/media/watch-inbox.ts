/** A hint whenever something changes in the inbox or in a carrier’s folder. For the service only: root never watches. */
import { join, relative } from 'node:path';
import { type FSWatcher, watch } from 'chokidar';
import { doneFolder, refusedFolder } from './inbox.ts';

export interface InboxWatch {
  close(): Promise<void>;
}

/**
 * Calls `onHint` when something in the inbox changes. Events are hints to look again, nothing more: completeness is
 * told by signed sizes, and a slow rescan elsewhere makes up for events that never came.
 */
export async function watchInbox(inbox: string, onHint: () => void): Promise<InboxWatch> {
  const archives = [join(inbox, doneFolder), join(inbox, refusedFolder)];
  const watcher = watch(inbox, {
    depth: 1,
    ignoreInitial: true,
    followSymlinks: false,
    ignored: (path) => archives.includes(path),
  });
  return startWatch(watcher, onHint);
}

/** The same for a folder that a carrier fills. On network mounts no event comes: a slow rescan makes up for it. */
export async function watchCarrier(folder: string, host: string, onHint: () => void): Promise<InboxWatch> {
  return startWatch(
    watch(folder, {
      depth: 4,
      ignoreInitial: true,
      followSymlinks: false,
      ignored: (path) => path !== folder && !concerns(host, relative(folder, path).split('/')),
    }),
    onHint,
  );
}

/**
 * Whether something in a carrier's folder may concern this host: bundles at the top and one deep, and its own part of a
 * pool. The rest may be thousands of files, and belongs to others.
 */
function concerns(host: string, parts: readonly string[]): boolean {
  const [first, second, third] = parts;
  if (parts.some((p) => p.startsWith('.'))) return false;
  if (first !== 'nixmaker') return parts.length <= 2;
  return (second ?? 'hosts') === 'hosts' && (third ?? host) === host && parts.length <= 5;
}

async function startWatch(watcher: FSWatcher, onHint: () => void): Promise<InboxWatch> {
  watcher.on('all', onHint);
  watcher.on('error', onHint);
  await new Promise<void>((resolve) => watcher.once('ready', () => resolve()));
  return { close: () => watcher.close() };
}
