/**
 * From a checked release to a disk that starts it. Every step may be repeated, and finds what an earlier attempt has done: cut off
 * anywhere, the same command ends as if it had never been. Keys and floor are there before anything can be started from the disk.
 */
import { mkdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { OpenedBundle } from '../../bundle/contents.ts';
import { NixmakerError } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import type { Keyring } from '../../core/policy/keyring.ts';
import { isThere, readIfThere } from '../../files/read.ts';
import { setProfile } from '../../nix/profile.ts';
import { isValid } from '../../nix/store.ts';
import type { VerifiedManifest } from '../../signing/verify.ts';
import { writeDurably } from '../../state/durable.ts';
import { keepRelease } from '../../state/kept-releases.ts';
import { readKeyring, storeKeyring } from '../../state/keyring.ts';
import { raiseFloorFor } from '../machine/floor.ts';
import type { RootMachine } from '../machine/machine.ts';
import { ensureHostKey, publicText } from '../root/host-key.ts';
import { importBundle } from '../update/import-bundle.ts';
import type { Examined } from '../update/open.ts';
import { installBootLoader } from './boot-loader.ts';
import { type Wanted, whatIsMissing } from './check-root.ts';
import { forgetLost } from './cut-off.ts';
import { ensureAgeIdentity, sshPublicKeys } from './keys.ts';
import type { NewSystem } from './new-system.ts';
import { recordRun, signReceipt } from './record.ts';

export interface Installation extends Pick<Examined, 'head' | 'isSecret'> {
  readonly root: string;
  readonly machine: RootMachine;
  readonly system: NewSystem;
  readonly bundle: OpenedBundle;
  readonly verified: VerifiedManifest;
  readonly wanted: Wanted;
  readonly source: string;
  /** A keyring that is newer than the policy’s, with the bytes that were signed. */
  readonly keyring: { readonly keyring: Keyring; readonly text: string } | undefined;
}

/** What a person, and the desk, may want to know of the new machine. */
export interface NewKeys {
  /** By which the desk knows its receipts. */
  readonly hostKey: string;
  /** To which bundles can be encrypted. */
  readonly recipients: readonly string[];
  readonly sshHostKeys: readonly string[];
}

export interface Done extends NewKeys {
  readonly notices: readonly string[];
}

/** @throws NixmakerError `install-failed`, `nix-failed`, `no-space` and what else its steps throw */
export async function install(installation: Installation): Promise<Done> {
  const { machine, root, system, verified, source } = installation;
  const begin = (step: string) => machine.emit({ event: 'install-step', step });
  begin('import');
  const again = await importAll(installation);
  begin('profile');
  await setProfileBelow(installation);
  begin('mark');
  await mark(installation);
  begin('keys');
  const hostKey = publicText(await ensureHostKey(machine));
  const recipients = await ensureAgeIdentity(root, system.settings);
  await keepKeyring(installation);
  await keepSigned(installation);
  begin('floor');
  const { sequence, downgradeFrom, createdAt } = verified.manifest;
  const known = given({ sequence, downgradeFrom, createdAt, manifestDigest: verified.digest });
  await raiseFloorFor(machine, known);
  begin('boot-loader');
  const { toplevel, sshHostKeys } = system;
  const deadline = machine.settings.switchDeadline * 1000;
  const ofBooting = await installBootLoader(machine, { root, toplevel, sshHostKeys, deadline });
  const notices = [...again, ...ofBooting];
  begin('record');
  await recordRun(machine, { verified, source, notices });
  await rm(machine.settings.runtimeDirectory, { recursive: true, force: true });
  begin('receipt');
  await signReceipt(machine);
  return { hostKey, recipients, sshHostKeys: await sshPublicKeys(root, sshHostKeys), notices };
}

/** @returns notices */
async function importAll(installation: Installation): Promise<string[]> {
  const { machine, root, bundle, system } = installation;
  const { nix, emit } = machine;
  await mkdir(join(nix.store ?? '/', 'nix/store'), { recursive: true });
  const { lost } = installation.wanted;
  const notices = lost.length > 0 ? [await forgetLost(machine, lost)] : [];
  // What refers to them is missing now as well.
  const wanted = lost.length > 0 ? await whatIsMissing(machine, root, bundle) : installation.wanted;
  if (wanted.missing.length > 0) {
    const request = { bundle, plan: wanted, signatures: undefined, isTrusted: true } as const;
    const onProgress = ({ done, expected }: { done: number; expected: number }) =>
      emit({ event: 'import-progress', level: 'debug', done, expected });
    (await importBundle(machine, request, { onProgress })).release();
  }
  if (!(await isValid(nix, system.toplevel)))
    throw new NixmakerError('nix-failed', `${system.toplevel} is not valid after the import`);
  return notices;
}

async function setProfileBelow({ machine, system }: Installation): Promise<void> {
  const { profile } = machine.settings;
  await mkdir(join(profile, '..'), { recursive: true });
  await setProfile(machine.nix, { profile, toplevel: system.toplevel });
}

/** switch-to-configuration refuses a root without this file, and GRUB wants an mtab (nixos-install.sh). */
async function mark({ root, machine }: Installation): Promise<void> {
  await mkdir(join(root, 'etc'), { recursive: true, mode: 0o755 });
  const marker = join(root, 'etc/NIXOS');
  if (!(await isThere(marker))) await writeDurably(marker, '');
  const mtab = join(root, 'etc/mtab');
  await rm(mtab, { force: true });
  await symlink('/proc/mounts', mtab);
  // Only if the release is bound to it: otherwise the first start makes one, as on every NixOS machine.
  const ownId = join(root, 'etc/machine-id');
  const { machineId } = machine;
  if (machineId !== undefined && ((await readIfThere(ownId)) ?? '').trim() === '')
    await writeDurably(ownId, `${machineId}\n`, 0o444);
}

/** For `put --self`: the new machine may be the one that brings its sisters what it was installed from. */
async function keepSigned({
  machine,
  verified,
  head,
  isSecret = false,
  bundle,
}: Installation): Promise<void> {
  const release = { ...head, indexBytes: Buffer.from(bundle.index.bytes), isSecret };
  await keepRelease(machine.floorDirectory, { digest: verified.digest, keep: [], release });
}

/** The keys that count from the first start on. Threat: those of the policy, which a later keyring has revoked. */
async function keepKeyring({ machine, system, keyring }: Installation): Promise<void> {
  if (keyring === undefined || keyring.keyring.version <= system.policy.keyringVersion) return;
  const kept = await readKeyring(machine.floorDirectory);
  if (kept === undefined || kept.version < keyring.keyring.version)
    await storeKeyring(machine.floorDirectory, keyring.text);
}
