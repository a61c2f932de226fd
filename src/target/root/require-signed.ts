/** The last check before anything is activated: is what is in the store what was signed? */
import { messageOf, NixmakerError } from '../../core/errors.ts';
import type { ReleaseIndex } from '../../core/release/index-file.ts';
import type { Manifest } from '../../core/release/manifest.ts';
import { holdPaths } from '../../nix/roots.ts';
import { isValid } from '../../nix/store.ts';
import { dropImportRoots, rootImport } from '../machine/import-roots.ts';
import type { RootMachine } from '../machine/machine.ts';
import type { Transaction } from '../machine/transaction.ts';
import { comparePaths, type Recognition, requireNoDifference } from '../machine/valid-paths.ts';
import { makeStoreSigner } from './store-key.ts';

interface Signed {
  readonly transaction: Transaction;
  readonly manifest: Manifest;
  readonly index: ReleaseIndex;
}

/**
 * The agent's word that it has imported is not enough, and that a path is valid is not either: it is compared with what was
 * signed. What is as it should be gets the store key’s signature, so that it counts when a later release has it otherwise.
 */
export async function requireSigned(
  machine: RootMachine,
  { transaction, manifest, index }: Signed,
): Promise<void> {
  const tell = (error: unknown) => transaction.emit('store-unsigned', { detail: messageOf(error) }, 'warn');
  const signer = await makeStoreSigner(machine).catch(tell);
  const comparison = await comparePaths(machine, index, signer ?? nothingElse);
  requireNoDifference(comparison, index);
  if (!(await isValid(machine.nix, manifest.toplevel)))
    throw new NixmakerError('closure-incomplete', `${manifest.toplevel} is not in the store`);
  await signer?.sign().catch(tell);
}

/** Without a key nothing counts but what was signed. */
const nothingElse: Recognition = { wanted: () => () => false, counts: () => false };

/**
 * Holds what is to be activated with root’s own roots, compares it, and works on it; only then lets go. Threat: a compromised agent
 * drops its roots after root has looked, has the path deleted, and brings another under its name. The roots stay if the work
 * is cut off: what takes it up finds the same (machine/stopped-runs.ts drops them).
 */
export async function whileHeld<T>(machine: RootMachine, signed: Signed, work: () => Promise<T>): Promise<T> {
  await rootImport(machine, signed.manifest);
  const release = await holdPaths(machine.nix, [...signed.index.paths(), signed.manifest.toplevel]);
  try {
    await requireSigned(machine, signed);
    return await work();
  } finally {
    release();
    await dropImportRoots(machine);
  }
}
