/**
 * After a power cut in the middle of an import, Nix’s database may call paths valid whose contents never reached the disk (by default Nix
 * does not flush them). Importing again does not repair them, because valid paths are skipped. So everything that has become valid since
 * that import began is verified, and damaged paths are deleted together with whatever refers to them: the bundle brings them again. Needs
 * no privilege.
 */
import { messageOf, NixmakerError } from '../../core/errors.ts';
import type { StorePath } from '../../core/store-path.ts';
import { listRegisteredSince } from '../../nix/path-info.ts';
import { deletePaths, findModified, findReferrers } from '../../nix/store.ts';
import { dropImportRoots } from './import-roots.ts';
import type { Machine } from './machine.ts';
import type { Transaction } from './transaction.ts';

/** Seconds. The clock may have been set while the import ran. */
const margin = 3600;

/**
 * @param since when the interrupted import began
 * @throws NixmakerError `store-corrupt` if a damaged path is in use and can’t be removed
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
    throw new NixmakerError('store-corrupt', `${named(damaged)}: ${messageOf(cause)}`, { cause });
  }
  transaction.notice(
    `${damaged.length} store paths damaged by a power cut were deleted; the bundle brings them again.`,
  );
}

/** All of them are in the log. */
const named = (paths: readonly StorePath[]): string =>
  `${paths.slice(0, 3).join(', ')}${paths.length > 3 ? ` and ${paths.length - 3} more` : ''}`;
