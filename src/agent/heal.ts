/**
 * After a power cut in the middle of an import, paths may be valid in Nix's database with contents that never reached
 * the disk (Nix's defaults do not flush them). Importing again does not heal them, for valid paths are skipped. So
 * they are looked for, deleted with what refers to them, and imported afresh. Needs no privilege.
 */
import { messageOf, NixmakerError } from '../core/errors.ts';
import type { Manifest } from '../core/manifest.ts';
import type { StorePath } from '../core/store-path.ts';
import { importWasCutOff } from '../core/unclean.ts';
import { deletePaths, findInvalid, findModified } from '../nix/target.ts';
import { readJournal } from '../state/journal.ts';
import { dropImportRoots } from './import.ts';
import type { Machine } from './machine.ts';
import type { Transaction } from './transaction.ts';

/** @throws NixmakerError `store-corrupt` where a damaged path is in use and can't be taken out */
export async function healStore(
  machine: Machine,
  { transaction, manifest }: { transaction: Transaction; manifest: Manifest },
): Promise<void> {
  const { records } = await readJournal(machine.settings.stateDirectory);
  const traces = records.map((r) => ({ transaction: r.transaction, state: r.state, bootId: r.bootId }));
  if (!importWasCutOff(traces, machine.bootId)) return;
  const paths = manifest.paths.map((p) => p.path);
  const invalid = new Set(await findInvalid(machine.nix, paths));
  const damaged = await findModified(
    machine.nix,
    paths.filter((p) => !invalid.has(p)),
  );
  transaction.emit('store-checked', { checked: paths.length - invalid.size, damaged });
  if (damaged.length === 0) return;
  await dropImportRoots(machine);
  const affected = withReferrers(manifest, damaged).filter((p) => !invalid.has(p));
  try {
    await deletePaths(machine.nix, affected);
  } catch (cause) {
    throw new NixmakerError('store-corrupt', `${damaged.join(', ')}: ${messageOf(cause)}`, { cause });
  }
  transaction.notice(
    `${damaged.length} store paths had been damaged by a power cut; they were imported afresh.`,
  );
}

/** The paths and all of the closure that refers to them, directly or not: a path can't be deleted without those. */
function withReferrers({ paths }: Manifest, damaged: readonly StorePath[]): StorePath[] {
  const affected = new Set<StorePath>(damaged);
  for (let before = -1; before !== affected.size; ) {
    before = affected.size;
    for (const { path, references } of paths) {
      if (references.some((r) => affected.has(r))) affected.add(path);
    }
  }
  return [...affected];
}
