/** The last check before anything is activated: is what is in the store what was signed? */
import { messageOf, NixmakerError } from '../../core/errors.ts';
import type { ReleaseIndex } from '../../core/release/index-file.ts';
import type { Manifest } from '../../core/release/manifest.ts';
import { withOpenDaemon } from '../../nix/open-daemon.ts';
import { holdPaths } from '../../nix/roots.ts';
import { isValid } from '../../nix/store.ts';
import { dropImportRoots, rootImport } from '../machine/import-roots.ts';
import type { RootMachine } from '../machine/machine.ts';
import type { Transaction } from '../machine/transaction.ts';
import {
  comparePaths,
  type Recognition,
  requireNoDifference,
  requireWholeClosure,
} from '../machine/valid-paths.ts';
import { withNix } from '../machine/with-nix.ts';
import { makeStoreSigner } from './store-key.ts';

interface Signed {
  readonly transaction: Transaction;
  readonly manifest: Manifest;
  readonly index: ReleaseIndex;
}

/**
 * The agent’s word that it has imported is not enough, nor is a path being valid: each path is compared with what was signed. Those that
 * match get the store key’s signature, so that they still count when a later release has them differently.
 */
export function requireSigned(machine: RootMachine, signed: Signed): Promise<void> {
  return withOpenDaemon(machine.nix, (nix) => compareSigned(withNix(machine, nix), signed));
}

async function compareSigned(machine: RootMachine, { transaction, manifest, index }: Signed): Promise<void> {
  const tell = (error: unknown) => transaction.emit('store-unsigned', { detail: messageOf(error) }, 'warn');
  const signer = await makeStoreSigner(machine).catch(tell);
  const comparison = await comparePaths(machine, index, signer ?? nothingElse);
  requireNoDifference(comparison, index);
  if (!(await isValid(machine.nix, manifest.toplevel)))
    throw new NixmakerError('closure-incomplete', `${manifest.toplevel} is not in the store`);
  if (manifest.content === 'derivation') await requireWholeClosure(machine, manifest.toplevel);
  await signer?.sign().catch(tell);
}

/** Without a key, only what was signed counts. */
const nothingElse: Recognition = { wanted: () => () => false, counts: () => false };

/**
 * Holds what is to be activated with root’s own roots, compares it, does the work, and only then lets go. Threat: a compromised agent drops
 * its roots after root has looked, has the path deleted, and puts another in its place. If the work is cut off, the roots stay, and
 * whatever takes it up finds the same paths (machine/stopped-runs.ts drops them).
 */
export async function whileHeld<T>(machine: RootMachine, signed: Signed, work: () => Promise<T>): Promise<T> {
  const { nix, release } = await holdPaths(machine.nix, [...signed.index.paths(), signed.manifest.toplevel]);
  const holding = withNix(machine, nix);
  try {
    await rootImport(holding, signed.manifest);
    await requireSigned(holding, signed);
    return await work();
  } finally {
    release();
    await dropImportRoots(machine);
  }
}
