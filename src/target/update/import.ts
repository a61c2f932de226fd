/** From a verified bundle to valid store paths: imported as an ordinary client, realised. */
import { messageOf, NixmakerError } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import { type Manifest, rootOf } from '../../core/release/manifest.ts';
import type { NixSignatures } from '../../core/release/nix-signatures.ts';
import type { StorePath } from '../../core/store-path.ts';
import type { Added } from '../../nix/daemon.ts';
import { importFromChrootStore } from '../../nix/import.ts';
import type { NixProgress } from '../../nix/log.ts';
import { realise } from '../../nix/realise.ts';
import { isValid, storeFolder } from '../../nix/store.ts';
import { writeProgress } from '../../state/progress.ts';
import type { Machine } from '../machine/machine.ts';
import type { Transaction } from '../machine/transaction.ts';
import { importBundle } from './import-bundle.ts';
import type { Contents } from './open.ts';
import type { ImportPlan } from './plan-import.ts';
import { keepingRoom } from './room.ts';

/**
 * Imports what is not valid yet. It is on disk when this returns, so that what the journal then calls imported survives a power cut.
 * @returns releases what was imported: to be called once the profile has it, or it is no longer wanted
 */
export async function importContents(
  machine: Machine,
  {
    transaction,
    manifest,
    contents,
    plan,
    signatures,
  }: {
    readonly transaction: Transaction;
    readonly manifest: Manifest;
    readonly contents: Contents;
    readonly plan: ImportPlan;
    /** What the bundle lacks for Nix on this machine (vouch.ts). */
    readonly signatures?: NixSignatures | undefined;
  },
): Promise<() => void> {
  const path = rootOf(manifest);
  const started = machine.clock.monotonic();
  const { bytes, release, open } =
    contents.kind === 'bundle'
      ? await importBundle(
          machine,
          { bundle: contents.bundle, plan, signatures },
          { onProgress: progress(machine, transaction, 'import') },
        )
      : await importChrootStore(machine, { transaction, folder: contents.folder, path });
  try {
    if (plan.part === undefined && !(await isValid({ ...machine.nix, open }, path)))
      throw new NixmakerError('nix-failed', `${path} is not valid after the import`);
  } catch (error) {
    release();
    throw error;
  }
  const milliseconds = Math.round(machine.clock.monotonic() - started);
  transaction.learn({
    imported: { paths: plan.part?.now.length ?? manifest.totals.paths, bytes, milliseconds },
  });
  return release;
}

async function importChrootStore(
  machine: Pick<Machine, 'clock' | 'interruption' | 'nix' | 'policy' | 'settings'>,
  { transaction, folder, path }: { transaction: Transaction; folder: string; path: StorePath },
): Promise<Added> {
  await keepingRoom(machine, storeFolder(machine.nix), (signal) =>
    importFromChrootStore(
      { ...machine.nix, signal },
      { folder, path },
      { onProgress: progress(machine, transaction, 'import') },
    ),
  );
  return { bytes: 0, release: () => undefined };
}

/** At most one progress event a second, and always the last. Also written to the file that `status` reads. */
function progress(
  machine: Pick<Machine, 'clock' | 'settings'>,
  transaction: Transaction,
  step: 'import' | 'realise',
): (p: NixProgress) => void {
  const began = machine.clock.monotonic();
  let last = Number.NEGATIVE_INFINITY;
  let writing = Promise.resolve();
  return ({ done, expected, bytes, expectedBytes }) => {
    const now = machine.clock.monotonic();
    if (done < expected && now - last < 1000) return;
    last = now;
    const counts = given({ done, expected, bytes, expectedBytes });
    transaction.emit(`${step}-progress`, counts, 'debug');
    const seconds = (now - began) / 1000;
    const value = { transaction: transaction.id, step, ...counts, seconds };
    // One after the other. An observer may miss one: the run goes on without it.
    writing = writing
      .then(() => writeProgress(machine.settings.runtimeDirectory, value))
      .catch((error: unknown) =>
        transaction.emit('progress-unwritten', { detail: messageOf(error) }, 'debug'),
      );
  };
}

/**
 * Makes the toplevel valid. A closure bundle has brought it; a derivation is realised as far as the policy allows.
 * @throws NixmakerError `missing-input`, `output-mismatch`, `build-failed`
 */
export async function realiseToplevel(
  machine: Pick<Machine, 'clock' | 'interruption' | 'nix' | 'policy' | 'settings'>,
  {
    transaction,
    manifest,
  }: { transaction: Transaction; manifest: Pick<Manifest, 'content' | 'derivation' | 'toplevel'> },
): Promise<void> {
  if (manifest.content === 'closure') return;
  const { derivation, toplevel } = manifest;
  const run = (signal?: AbortSignal) =>
    realise(
      { ...machine.nix, ...given({ signal }) },
      { derivation, toplevel, mode: machine.policy.realise },
      { onProgress: progress(machine, transaction, 'realise') },
    );
  // If it is already there, or nothing may be fetched or built, nothing is written.
  const writes = machine.policy.realise !== 'never-build' && !(await isValid(machine.nix, toplevel));
  const outputs = writes ? await keepingRoom(machine, storeFolder(machine.nix), run) : await run();
  if (!outputs.includes(toplevel)) {
    throw new NixmakerError(
      'output-mismatch',
      `${derivation} produces ${outputs.join(', ')}, not ${toplevel}`,
    );
  }
}
