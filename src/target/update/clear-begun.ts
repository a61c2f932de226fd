/** Removes what an import brought before it ran out of room: the room is needed, and nobody else knows what these paths are. */
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { isMissing } from '../../core/errno.ts';
import { messageOf } from '../../core/errors.ts';
import type { ReleaseIndex } from '../../core/release/index-file.ts';
import { type StorePath, toBaseName } from '../../core/store-path.ts';
import { DaemonConnection } from '../../nix/daemon-connection.ts';
import { deletePaths, storeFolder } from '../../nix/store.ts';
import type { Machine } from '../machine/machine.ts';
import type { Transaction } from '../machine/transaction.ts';
import { deleteReleased } from './delete-released.ts';

type Cleaner = Pick<Machine, 'clock' | 'nix'>;

/** How paths are deleted. */
export interface Deleter {
  readonly delete: (paths: readonly StorePath[]) => Promise<void>;
  readonly close: () => void;
}

/**
 * To be created before anything is imported. Threat: a quota used up to the last byte. Nix then can’t even open its database, so nobody
 * could ask it for anything any more; a daemon that already has it open releases its reserve, and deletes.
 */
export async function openDeleter({ nix }: Pick<Machine, 'nix'>): Promise<Deleter> {
  if (nix.daemonSocket === undefined)
    return { delete: (paths) => deletePaths(nix, paths), close: () => undefined };
  const connection = await DaemonConnection.open(nix.daemonSocket);
  return { delete: (paths) => connection.deletePaths(paths), close: () => connection.close() };
}

/**
 * Deletes those of the paths that were not valid before the import and that nothing needs. Call it with all holds released. Problems
 * are reported, never thrown: the run keeps its own outcome.
 * @param missing lines of the index
 */
export async function clearBegun(
  machine: Cleaner,
  transaction: Transaction,
  {
    index,
    missing,
    deleter,
  }: { readonly index: ReleaseIndex; readonly missing: readonly number[]; readonly deleter: Deleter },
): Promise<void> {
  try {
    const begun = await whatLiesThere(machine, index, missing);
    if (begun.length === 0) return;
    await deleteReleased(machine, { ...deleter, paths: begun });
    transaction.notice(
      `There was not enough space for all of it, so the ${begun.length} store paths begun so far were deleted again.`,
    );
  } catch (error) {
    transaction.notice(
      `The partial import could not be cleaned up (${messageOf(error)}). \`nix-collect-garbage\` will do it.`,
    );
  }
}

async function whatLiesThere(
  { nix }: Cleaner,
  index: ReleaseIndex,
  missing: readonly number[],
): Promise<StorePath[]> {
  const found: StorePath[] = [];
  for (const line of missing) {
    const path = index.path(line);
    const isThere = await lstat(join(storeFolder(nix), toBaseName(path))).then(
      () => true,
      (error: unknown) => {
        if (isMissing(error)) return false;
        throw error;
      },
    );
    if (isThere) found.push(path);
  }
  return found;
}
