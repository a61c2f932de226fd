/** Removes valid paths that differ from what was signed, or are not whole, if nothing needs them, before the import, which would skip them. */
import { NixmakerError } from '../../core/errors.ts';
import type { StorePath } from '../../core/store-path.ts';
import { deletePaths, findReferrers } from '../../nix/store.ts';
import type { Machine } from '../machine/machine.ts';
import type { Transaction } from '../machine/transaction.ts';
import { type Comparison, type Difference, requireAsSigned } from '../machine/valid-paths.ts';

/** @throws NixmakerError `store-differs`, `store-corrupt` if something needs what is there */
export async function clearDifferences(
  machine: Pick<Machine, 'nix'>,
  transaction: Transaction,
  { differing, lost }: Pick<Comparison, 'differing' | 'lost'>,
): Promise<void> {
  if (differing.length > 0) {
    transaction.emit('store-differs', { paths: pathsOf(differing) }, 'warn');
    await deleteUnneeded(machine, pathsOf(differing), () => requireAsSigned({ differing, lost: [] }));
    tell(transaction, differing, 'did not match what was signed');
  }
  if (lost.length > 0) {
    transaction.emit('store-lost', { paths: pathsOf(lost) }, 'warn');
    await deleteUnneeded(machine, pathsOf(lost), () => requireAsSigned({ differing: [], lost }));
    tell(transaction, lost, 'lacked files, as after a power cut while they were being deleted,');
  }
}

async function deleteUnneeded(
  { nix }: Pick<Machine, 'nix'>,
  paths: readonly StorePath[],
  refuse: () => void,
): Promise<void> {
  try {
    // The daemon refuses to delete what is rooted; what it deletes was garbage.
    await deletePaths(nix, await findReferrers(nix, paths));
  } catch (error) {
    if (error instanceof NixmakerError && error.code === 'nix-failed') refuse();
    throw error;
  }
}

const pathsOf = (some: readonly Difference[]) => some.map(({ path }) => path);

function tell(transaction: Transaction, deleted: readonly Difference[], why: string): void {
  const [first] = deleted;
  if (first === undefined) return;
  transaction.notice(
    `${deleted.length} store paths ${why} and nothing needed them, so they were deleted; the bundle brings them. The first is ${first.path}.`,
  );
}
