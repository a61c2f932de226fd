/**
 * After a power cut in the middle of an import, paths may be valid in Nix's database with contents that never reached
 * the disk (Nix's defaults do not flush them). Importing again does not repair them, for valid paths are skipped. So
 * what has become valid since that import began is verified, and what is damaged is deleted with all that refers to
 * it: the bundle brings it again. Needs no privilege.
 */
import { messageOf, NixmakerError } from '../../core/errors.ts';
import { listRegisteredSince } from '../../nix/path-info.ts';
import { deletePaths, findModified, findReferrers } from '../../nix/store.ts';
import { dropImportRoots } from './import-roots.ts';
import type { Machine } from './machine.ts';
import type { Transaction } from './transaction.ts';

/** The clock may have been set while the import ran. Seconds. */
const margin = 3600;

/**
 * @param since when the import that was cut off began
 * @throws NixmakerError `store-corrupt` where a damaged path is in use and can't be taken out
 */
export async function repairStore(
  machine: Pick<Machine, 'nix' | 'settings'>,
  { transaction, since }: { transaction: Transaction; since: Date },
): Promise<void> {
  const paths = await listRegisteredSince(machine.nix, since.getTime() / 1000 - margin);
  const damaged = await findModified(machine.nix, paths);
  transaction.emit('store-checked', { checked: paths.length, damaged });
  if (damaged.length === 0) return;
  await dropImportRoots(machine);
  try {
    await deletePaths(machine.nix, await findReferrers(machine.nix, damaged));
  } catch (cause) {
    throw new NixmakerError('store-corrupt', `${damaged.join(', ')}: ${messageOf(cause)}`, { cause });
  }
  transaction.notice(
    `${damaged.length} store paths damaged by a power cut were deleted; the bundle brings them again.`,
  );
}
