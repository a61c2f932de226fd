/** What is in the store: which paths are valid, intact and needed; deleting and flushing them. */
import { complaintOf } from '../core/complaint.ts';
import { NixmakerError } from '../core/errors.ts';
import { parseStorePath, parseStorePathLines, type StorePath, storeDir } from '../core/store-path.ts';
import { legacyNix, type NixContext, nix, queryStore, toOptions } from './command.ts';
import { withDaemon } from './open-daemon.ts';
import { queryClosureInfos } from './valid-info.ts';

export async function isValid(context: NixContext, path: StorePath): Promise<boolean> {
  if (context.daemonSocket !== undefined) return (await findInvalid(context, [path])).length === 0;
  try {
    await legacyNix(context, { program: 'nix-store', args: ['--check-validity', path] });
    return true;
  } catch (error) {
    if (error instanceof NixmakerError && error.code === 'nix-failed') return false;
    throw error;
  }
}

/** Where the store’s files are: a store given as a folder keeps them below it. */
export function storeFolder({ store }: NixContext): string {
  return store?.startsWith('/') === true ? `${store}${storeDir}` : storeDir;
}

/** Those of the paths that are not valid yet. */
export async function findInvalid(context: NixContext, paths: readonly StorePath[]): Promise<StorePath[]> {
  if (paths.length === 0) return [];
  const { daemonSocket, open } = context;
  if (daemonSocket !== undefined) {
    const valid = await withDaemon({ daemonSocket, open }, (connection) => connection.validOf(paths));
    return paths.filter((path) => !valid.has(path));
  }
  const lines = await queryStore(context, ['--check-validity', '--print-invalid'], paths);
  return lines.flatMap((line) => parseStorePath(line) ?? []);
}

/** All of them. @throws NixmakerError `nix-unavailable`, `nix-failed` */
export async function listValid(context: NixContext): Promise<StorePath[]> {
  const { daemonSocket, open } = context;
  if (daemonSocket !== undefined)
    return withDaemon({ daemonSocket, open }, (connection) => connection.allValid());
  return parseStorePathLines(await nix(context, ['path-info', '--all'], { log: 'lines' }));
}

/** Those of the valid paths whose contents are no longer what they were when they became valid. */
export async function findModified(context: NixContext, paths: readonly StorePath[]): Promise<StorePath[]> {
  if (paths.length === 0) return [];
  const most = 500;
  try {
    if (paths.length <= most) {
      await nix(context, ['store', 'verify', '--no-trust', ...paths]);
      return [];
    }
  } catch (error) {
    if (!(error instanceof NixmakerError && error.code === 'nix-failed')) throw error;
    if (paths.length === 1) return [...paths];
  }
  // Nix names the damaged one only in words for people: halve until one is left.
  const half = Math.ceil(paths.length / 2);
  const first = await findModified(context, paths.slice(0, half));
  return [...first, ...(await findModified(context, paths.slice(half)))];
}

/** The paths and everything that refers to them, directly or not: a path can’t be deleted without those. */
export async function findReferrers(context: NixContext, paths: readonly StorePath[]): Promise<StorePath[]> {
  const lines = await queryStore(context, ['--query', '--referrers-closure'], paths);
  return [...new Set(parseStorePathLines(lines.join('\n')))];
}

/** A valid path and everything it refers to, directly or not. */
export async function listClosure(context: NixContext, path: StorePath): Promise<StorePath[]> {
  if (context.daemonSocket !== undefined) return [...(await queryClosureInfos(context, path)).keys()].sort();
  const out = await legacyNix(context, { program: 'nix-store', args: ['--query', '--requisites', path] });
  return parseStorePathLines(out).sort();
}

/**
 * Deletes paths that nothing needs, in any order and number; any client may. Nix is given them all at once: a recipe and its outputs may
 * each hold the other (`keep-derivations`, `keep-outputs`), and in batches neither could go first.
 * @param options for Nix; only a trusted client’s count
 * @throws NixmakerError `nix-failed` if something does; it tells what was left
 */
export async function deletePaths(
  context: NixContext,
  paths: readonly StorePath[],
  options: readonly string[] = [],
): Promise<void> {
  if (paths.length === 0) return;
  // What is gone by now would be looked for elsewhere.
  const args = ['store', 'delete', '--stdin', ...toOptions(['substituters', '']), ...options];
  try {
    await nix(context, args, { log: 'lines', stdin: paths });
  } catch (error) {
    throw (await tellLeft(context, paths, error)) ?? error;
  }
}

/** Nix stops at the first that is needed, and has deleted others by then. */
async function tellLeft(
  context: NixContext,
  paths: readonly StorePath[],
  cause: unknown,
): Promise<NixmakerError | undefined> {
  if (!(cause instanceof NixmakerError && cause.code === 'nix-failed') || paths.length === 1)
    return undefined;
  try {
    const gone = new Set(await findInvalid(context, paths));
    const left = paths.filter((path) => !gone.has(path));
    if (left.length === 0) return undefined;
    const said = `${left.length} of ${paths.length} store paths are still there, the first is ${left[0]}: ${cause.detail}`;
    return new NixmakerError(cause.code, said, { cause });
  } catch {
    return undefined;
  }
}

/**
 * Flushes the file system that holds the store. By default, Nix’s database calls paths valid before their contents are on disk: a power cut
 * then leaves them valid and wrong, and importing again does not repair them, because valid paths are skipped.
 */
export async function syncStore(context: NixContext): Promise<void> {
  const result = await context.run('sync', ['--file-system', storeFolder(context)]);
  if (result.exitCode === 0) return;
  const said = complaintOf(result, `sync exited with ${result.exitCode}`);
  throw new NixmakerError('io-error', `cannot flush the store: ${said}`);
}
