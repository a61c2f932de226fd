/** From a verified bundle to valid store paths: imported as an ordinary client, realised. */
import { pathsLeftOut } from '../../bundle/contents.ts';
import type { Delta, Manifest } from '../../core/bundle/manifest.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import type { StorePath } from '../../core/store-path.ts';
import { spaceAt } from '../../media/space.ts';
import type { Added } from '../../nix/daemon.ts';
import { importFromChrootStore } from '../../nix/import.ts';
import type { NixProgress } from '../../nix/log.ts';
import { narHashesOf } from '../../nix/path-info.ts';
import { realise } from '../../nix/realise.ts';
import { findInvalid, isValid, storeFolder } from '../../nix/store.ts';
import { writeProgress } from '../../state/progress.ts';
import type { Machine } from '../machine/machine.ts';
import type { Transaction } from '../machine/transaction.ts';
import { importBundle } from './import-bundle.ts';
import type { Contents } from './open.ts';

/**
 * A bundle made `--since` leaves out what its target is thought to have. @throws NixmakerError `base-missing`
 */
export async function requireBase(
  machine: Pick<Machine, 'nix'>,
  manifest: Manifest,
  contents: Contents,
): Promise<void> {
  if (manifest.base.length === 0 || contents.kind !== 'bundle') return;
  const deltas = [...contents.bundle.deltas.values()];
  const bases = [...new Set(deltas.map((d) => d.base))];
  const [first, ...more] = await findInvalid(machine.nix, [...pathsLeftOut(contents.bundle), ...bases]);
  if (first === undefined) return requireSameBases(machine, deltas);
  const others = more.length === 0 ? '' : ` and ${more.length} more`;
  throw new NixmakerError(
    'base-missing',
    `${first}${others} are not there; the bundle relies on ${manifest.base.join(', ')}`,
  );
}

/** The same path can have been built to other contents elsewhere; a delta fits those of the builder only. */
async function requireSameBases(machine: Pick<Machine, 'nix'>, deltas: readonly Delta[]): Promise<void> {
  const hashes = await narHashesOf(
    machine.nix,
    deltas.map((d) => d.base),
  );
  const other = deltas.find((d, i) => hashes[i] !== d.baseHash);
  if (other === undefined) return;
  throw new NixmakerError(
    'base-missing',
    `${other.base} is there, but was built elsewhere and holds something else than the bundle relies on`,
  );
}

/**
 * Whether what is missing will fit, before the first byte is written: a full disk midway harms everything else on the
 * machine. @throws NixmakerError `no-space`
 */
export async function checkRoom(machine: Machine, manifest: Manifest): Promise<void> {
  const missing = new Set(
    await findInvalid(
      machine.nix,
      manifest.paths.map((p) => p.path),
    ),
  );
  const bytes = manifest.paths.reduce((sum, p) => sum + (missing.has(p.path) ? p.narSize : 0), 0);
  const { freeBytes, freeInodes } = await spaceAt(storeFolder(machine.nix));
  // For Nix’s database and log, and for the machine to go on.
  const spareRoom = machine.policy.limits.freeBytes;
  if (bytes > 0 && bytes + spareRoom > freeBytes) {
    throw new NixmakerError(
      'no-space',
      `${bytes} bytes are to be imported and ${spareRoom} must stay free; ${freeBytes} are free`,
    );
  }
  // Some file systems (btrfs) count no inodes and say 0 of 0; those are told by having none at all.
  if (missing.size > 0 && freeInodes > 0 && freeInodes < missing.size) {
    throw new NixmakerError(
      'no-space',
      `${missing.size} store paths are to be imported; only ${freeInodes} inodes are free`,
    );
  }
}

/**
 * Imports the closure the manifest names; `nix copy` skips what is valid already. It is on disk when this returns, so
 * that what the journal then calls imported survives a power cut.
 * @returns lets go of what was imported: to be called once the profile has it, or nothing more is to become of it
 */
export async function importContents(
  machine: Machine,
  {
    transaction,
    manifest,
    contents,
    signatures,
  }: {
    transaction: Transaction;
    manifest: Manifest;
    contents: Contents;
    /** By store path: what the narinfos lack for Nix on this machine (vouch.ts). */
    signatures?: Readonly<Record<string, string>> | undefined;
  },
): Promise<() => void> {
  const path = manifest.content === 'closure' ? manifest.toplevel : manifest.derivation;
  const started = machine.clock.monotonic();
  const { bytes, release } =
    contents.kind === 'bundle'
      ? await importBundle(
          machine,
          { bundle: contents.bundle, path, signatures },
          { onProgress: progress(machine, transaction, 'import') },
        )
      : await importChrootStore(machine, { transaction, folder: contents.folder, path });
  try {
    if (!(await isValid(machine.nix, path)))
      throw new NixmakerError('nix-failed', `${path} is not valid after the import`);
  } catch (error) {
    release();
    throw error;
  }
  const milliseconds = Math.round(machine.clock.monotonic() - started);
  transaction.learn({ imported: { paths: manifest.paths.length, bytes, milliseconds } });
  return release;
}

async function importChrootStore(
  machine: Pick<Machine, 'clock' | 'nix' | 'settings'>,
  { transaction, folder, path }: { transaction: Transaction; folder: string; path: StorePath },
): Promise<Added> {
  await importFromChrootStore(
    machine.nix,
    { folder, path },
    { onProgress: progress(machine, transaction, 'import') },
  );
  return { bytes: 0, release: () => undefined };
}

/** A progress event a second at most; the last one always. Also to the file that `status` looks into. */
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
    // One after the other. Who looks on may miss a word: the run goes on without.
    writing = writing
      .then(() => writeProgress(machine.settings.runtimeDirectory, value))
      .catch((error: unknown) =>
        transaction.emit('progress-unwritten', { detail: messageOf(error) }, 'debug'),
      );
  };
}

/**
 * Makes the toplevel valid. A closure bundle has brought it; a derivation is realised as far as the policy lets it.
 * @throws NixmakerError `missing-input`, `output-mismatch`, `build-failed`
 */
export async function realiseToplevel(
  machine: Pick<Machine, 'clock' | 'nix' | 'policy' | 'settings'>,
  {
    transaction,
    manifest,
  }: { transaction: Transaction; manifest: Pick<Manifest, 'content' | 'derivation' | 'toplevel'> },
): Promise<void> {
  if (manifest.content === 'closure') return;
  const { derivation, toplevel } = manifest;
  const outputs = await realise(
    machine.nix,
    { derivation, toplevel, mode: machine.policy.realise },
    { onProgress: progress(machine, transaction, 'realise') },
  );
  if (!outputs.includes(toplevel)) {
    throw new NixmakerError('output-mismatch', `${derivation} gives ${outputs.join(', ')}, not ${toplevel}`);
  }
}
