/** A hint whenever something in the inbox or in a carrier's folder changes. */
import { join, relative } from 'node:path';
import { type FSWatcher, watch } from 'chokidar';
import { doneFolder, refusedFolder } from './inbox.ts';

export interface InboxWatch {
  close(): Promise<void>;
}

/** @param path of what has changed, where that is known */
export type OnHint = (path?: string) => void;

/** Folders one deep that are watched. What is in others is found by the slow rescan. */
const mostFolders = 256;

/** What never is a folder, told without asking the file system: what the agent takes, and what carriers call unfinished copies. */
const fileName = /\.(?:tar|gz|age|keyring|json|sig|txt|part|filepart|tmp)$/;

/**
 * Calls `onHint` when something in the inbox changes. Events are hints to look again, nothing more: completeness is
 * told by signed sizes, and a slow rescan elsewhere makes up for events that never came.
 *
 * Threat: forty thousand files. Folders are watched, and files are not: what the kernel says of a folder names the file.
 */
export async function watchInbox(inbox: string, onHint: OnHint): Promise<InboxWatch> {
  const archives = [join(inbox, doneFolder), join(inbox, refusedFolder)];
  const folders = new Set<string>([inbox]);
  const watcher = watch(inbox, {
    depth: 1,
    ignoreInitial: true,
    followSymlinks: false,
    ignored: (path, stats) => {
      if (folders.has(path)) return false;
      if (archives.includes(path) || fileName.test(path) || folders.size > mostFolders) return true;
      if (stats?.isDirectory()) folders.add(path);
      return stats !== undefined && !stats.isDirectory();
    },
  });
  watcher.on('unlinkDir', (path: string) => folders.delete(path));
  return startWatch(watcher, onHint);
}

/** The same for a folder that a carrier fills. On network mounts no event comes: a slow rescan makes up for it. */
export async function watchCarrier(folder: string, host: string, onHint: OnHint): Promise<InboxWatch> {
  return startWatch(
    watch(folder, {
      depth: 4,
      ignoreInitial: true,
      followSymlinks: false,
      ignored: (path, stats) =>
        path !== folder &&
        (fileName.test(path) ||
          !concerns(host, relative(folder, path).split('/')) ||
          (stats !== undefined && !stats.isDirectory())),
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

async function startWatch(watcher: FSWatcher, onHint: OnHint): Promise<InboxWatch> {
  watcher.on('raw', (_event: string, name: unknown, details: unknown) => {
    const { watchedPath } = details as { readonly watchedPath?: string };
    onHint(typeof name === 'string' && watchedPath !== undefined ? join(watchedPath, name) : undefined);
  });
  // A folder that is new, or gone, and what was in it before it was watched.
  watcher.on('all', () => onHint());
  watcher.on('error', () => onHint());
  await new Promise<void>((resolve) => watcher.once('ready', () => resolve()));
  return { close: () => watcher.close() };
}
