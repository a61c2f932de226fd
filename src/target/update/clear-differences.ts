/** Removes valid paths that differ from what was signed, if nothing needs them, before the import, which would leave them as they are. */
import { NixmakerError } from '../../core/errors.ts';
import { deletePaths, findReferrers } from '../../nix/store.ts';
import type { Machine } from '../machine/machine.ts';
import type { Transaction } from '../machine/transaction.ts';
import { type Difference, storeDiffers } from '../machine/valid-paths.ts';

/** @throws NixmakerError `store-differs` if something needs what is there */
export async function clearDifferences(
  machine: Pick<Machine, 'nix'>,
  transaction: Transaction,
  differing: readonly Difference[],
): Promise<void> {
  const paths = differing.map((d) => d.path);
  transaction.emit('store-differs', { paths }, 'warn');
  try {
    // The daemon refuses to delete what is rooted; what it deletes was garbage.
    await deletePaths(machine.nix, await findReferrers(machine.nix, paths));
  } catch (error) {
    if (error instanceof NixmakerError && error.code === 'nix-failed') throw storeDiffers(differing);
    throw error;
  }
  transaction.notice(
    `${paths.length} store paths did not match what was signed and nothing needed them, so they were deleted; the bundle brings them. The first is ${paths[0]}.`,
  );
}
