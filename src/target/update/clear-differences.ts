/** Removes valid paths that differ from what was signed, or are not whole, if nothing needs them, before the import, which would skip them. */
import { NixmakerError } from '../../core/errors.ts';
import { deletePaths, findReferrers } from '../../nix/store.ts';
import type { Machine } from '../machine/machine.ts';
import type { Transaction } from '../machine/transaction.ts';
import { type Comparison, type Difference, requireAsSigned } from '../machine/valid-paths.ts';
import { deleteReleased } from './delete-released.ts';

type Clearer = Pick<Machine, 'clock' | 'nix'>;

/** A second: most likely it is needed. */
const tries = 5;

/** @throws NixmakerError `store-differs`, `store-corrupt` if something needs what is there */
export async function clearDifferences(
  machine: Clearer,
  transaction: Transaction,
  { differing, lost }: Pick<Comparison, 'differing' | 'lost'>,
): Promise<void> {
  if (differing.length > 0) {
    transaction.emit('store-differs', { paths: pathsOf(differing) }, 'warn');
    await deleteUnneeded(machine, transaction, differing, () => requireAsSigned({ differing, lost: [] }));
    tell(transaction, differing, 'did not match what was signed');
  }
  if (lost.length > 0) {
    transaction.emit('store-lost', { paths: pathsOf(lost) }, 'warn');
    await deleteUnneeded(machine, transaction, lost, () => requireAsSigned({ differing: [], lost }));
    tell(transaction, lost, 'lacked files, as after a power cut while they were being deleted,');
  }
}

async function deleteUnneeded(
  { clock, nix }: Clearer,
  transaction: Transaction,
  some: readonly Difference[],
  refuse: () => void,
): Promise<void> {
  const paths = await findReferrers(nix, pathsOf(some));
  const onHeld = () => transaction.emit('differences-held', { paths });
  try {
    // The daemon refuses to delete what is rooted; what it deletes was garbage. Threat: it has not noticed yet that the comparison holds them no
    // longer, on a busy machine, and a good bundle fails.
    await deleteReleased({ clock }, { paths, delete: (all) => deletePaths(nix, all), onHeld, tries });
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
