/** The last look before anything is activated: is what lies in the store what was signed? */
import type { Manifest } from '../../core/bundle/manifest.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import { holdPaths } from '../../nix/roots.ts';
import { isValid } from '../../nix/store.ts';
import { dropImportRoots, rootImport } from '../machine/import-roots.ts';
import type { RootMachine } from '../machine/machine.ts';
import type { Transaction } from '../machine/transaction.ts';
import { comparePaths, requireNoDifference } from '../machine/valid-paths.ts';
import { signCompared } from './store-key.ts';

/**
 * The agent's word that it has imported is not enough, and that a path is valid is not either: it is compared with what was
 * signed. What is as it should be gets the store key’s signature, so that it counts when a later manifest has it otherwise.
 */
export async function requireSigned(
  machine: RootMachine,
  transaction: Transaction,
  manifest: Manifest,
): Promise<void> {
  const comparison = await comparePaths(machine, manifest);
  requireNoDifference(comparison);
  if (!(await isValid(machine.nix, manifest.toplevel)))
    throw new NixmakerError('closure-incomplete', `${manifest.toplevel} is not in the store`);
  await signCompared(machine, comparison).catch((error: unknown) =>
    transaction.emit('store-unsigned', { detail: messageOf(error) }, 'warn'),
  );
}

/**
 * Holds what is to be activated by roots of root’s own, compares it, and works on it; only then lets go. Threat: an agent that was taken
 * over drops its roots after root has looked, has the path deleted, and brings another under its name. The roots stay where the work
 * is cut off: what takes it up finds the same (machine/stopped-runs.ts drops them).
 */
export async function whileHeld<T>(
  machine: RootMachine,
  { transaction, manifest }: { readonly transaction: Transaction; readonly manifest: Manifest },
  work: () => Promise<T>,
): Promise<T> {
  await rootImport(machine, manifest);
  const release = await holdPaths(machine.nix, [...manifest.paths.map((p) => p.path), manifest.toplevel]);
  try {
    await requireSigned(machine, transaction, manifest);
    return await work();
  } finally {
    release();
    await dropImportRoots(machine);
  }
}
