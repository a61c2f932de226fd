/** A hint whenever something in the inbox or in a carrier's folder changes. */
import { type FSWatcher, watch } from 'node:fs';
import { lstat, opendir } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { type FSWatcher as TreeWatcher, watch as watchTree } from 'chokidar';
import { withForeign } from '../files/foreign.ts';
import { doneFolder, refusedFolder } from './inbox.ts';

export interface InboxWatch {
  close(): Promise<void>;
}

/** @param path of what has changed, if known */
export type OnHint = (path?: string) => void;

/** Folders one level deep that are watched. Changes in others are found by the slow rescan. */
const mostFolders = 256;

/** Names that are never folders, without asking the file system: what the agent takes, and the names carriers give unfinished copies. */
const fileName = /\.(?:tar|gz|age|keyring|json|sig|txt|part|filepart|tmp)$/i;

/**
 * Calls `onHint` when something in the inbox changes. Events are hints to look again, nothing more: completeness is judged by signed sizes,
 * and a slow rescan elsewhere makes up for events that never came.
 *
 * Threat: a hundred thousand files at once. Folders are watched, not files: the kernel’s event for a folder names the file. The only
 * question asked about an event is whether a new name is a folder, one at a time: chokidar asks about each, in an unbounded queue, which
 * took hundreds of megabytes and held up all the agent’s other reads.
 */
export async function watchInbox(inbox: string, onHint: OnHint): Promise<InboxWatch> {
  const folders = new InboxFolders(inbox, onHint);
  await folders.open();
  return { close: async () => folders.close() };
}

class InboxFolders {
  readonly #inbox: string;
  readonly #onHint: OnHint;
  readonly #watchers = new Map<string, FSWatcher>();
  /** Names in the inbox that may be folders, to be checked. */
  readonly #unknown = new Set<string>();
  #isLooking = false;
  #isClosed = false;

  constructor(inbox: string, onHint: OnHint) {
    this.#inbox = inbox;
    this.#onHint = onHint;
  }

  async open(): Promise<void> {
    // To notice when the inbox itself is recreated.
    await this.#watch(dirname(this.#inbox), (name) => {
      if (name !== basename(this.#inbox)) return;
      this.#forget(this.#inbox);
      this.#watchInbox().catch(() => this.#onHint());
    });
    await this.#watchInbox();
  }

  close(): void {
    this.#isClosed = true;
    for (const folder of [...this.#watchers.keys()]) this.#forget(folder);
  }

  async #watchInbox(): Promise<void> {
    await this.#watch(this.#inbox, (name) => this.#changed(name));
    await withForeign(this.#inbox, async ({ path }) => {
      for await (const entry of await opendir(path, { bufferSize: 1024 }))
        if (entry.isDirectory()) await this.#watchOneDeep(entry.name);
    }).catch(() => undefined);
    this.#onHint();
  }

  #changed(name: string): void {
    this.#onHint(join(this.#inbox, name));
    if (!mayBeFolder(name) || this.#unknown.size >= mostFolders) return;
    this.#unknown.add(name);
    if (!this.#isLooking) void this.#lookAtUnknown();
  }

  async #lookAtUnknown(): Promise<void> {
    this.#isLooking = true;
    for (const name of this.#unknown) {
      this.#unknown.delete(name);
      const isFolder = await lstat(join(this.#inbox, name)).then(
        (stat) => stat.isDirectory(),
        () => false,
      );
      // There may be another one with the same name by now.
      this.#forget(join(this.#inbox, name));
      if (!isFolder) continue;
      await this.#watchOneDeep(name);
      // What was in it before it was watched.
      this.#onHint();
    }
    this.#isLooking = false;
  }

  async #watchOneDeep(name: string): Promise<void> {
    // Two of them are the inbox and its parent.
    if (!mayBeFolder(name) || this.#watchers.size >= mostFolders + 2) return;
    const folder = join(this.#inbox, name);
    await this.#watch(folder, (file) => this.#onHint(join(folder, file)));
  }

  /** Through what was opened without following links. What can’t be watched is found by the slow rescan. */
  async #watch(folder: string, onChange: (name: string) => void): Promise<void> {
    const begin = async ({ path }: { readonly path: string }) => {
      if (this.#isClosed || this.#watchers.has(folder)) return;
      const watcher = watch(path, (_event, name) => {
        if (name === null) this.#onHint();
        else onChange(name);
      });
      watcher.on('error', () => this.#forget(folder));
      this.#watchers.set(folder, watcher);
    };
    await withForeign(folder, begin).catch(() => this.#onHint());
  }

  #forget(folder: string): void {
    this.#watchers.get(folder)?.close();
    this.#watchers.delete(folder);
  }
}

const mayBeFolder = (name: string): boolean =>
  !name.startsWith('.') && !fileName.test(name) && name !== doneFolder && name !== refusedFolder;

/**
 * A carrier’s folder. On network mounts no event arrives: a slow rescan makes up for it. If its server does not respond, it is not waited
 * for.
 */
export function watchCarrier(folder: string, host: string, onHint: OnHint): InboxWatch {
  return startWatch(
    watchTree(folder, {
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
 * Whether something in a carrier’s folder may concern this host: bundles at the top and one level deep, and its own part of a pool. The
 * rest may be thousands of files, and belongs to others.
 */
function concerns(host: string, parts: readonly string[]): boolean {
  const [first, second, third] = parts;
  if (parts.some((p) => p.startsWith('.'))) return false;
  if (first !== 'nixmaker') return parts.length <= 2;
  return (second ?? 'hosts') === 'hosts' && (third ?? host) === host && parts.length <= 5;
}

function startWatch(watcher: TreeWatcher, onHint: OnHint): InboxWatch {
  watcher.on('raw', (_event: string, name: unknown, details: unknown) => {
    const { watchedPath } = details as { readonly watchedPath?: string };
    onHint(typeof name === 'string' && watchedPath !== undefined ? join(watchedPath, name) : undefined);
  });
  // A folder that is new or gone, and what was in it before it was watched.
  watcher.on('all', () => onHint());
  watcher.on('error', () => onHint());
  // What was there before it was watched.
  watcher.once('ready', () => onHint());
  return { close: () => watcher.close() };
}
