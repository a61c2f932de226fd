/** Gathers what is true of this machine now, for the decision. */
import { findSpecialisation } from '../../activation/inspect.ts';
import type { Facts } from '../../core/policy/decide.ts';
import type { StorePath } from '../../core/store-path.ts';
import { readProfile, readSystemLink } from '../../nix/profile.ts';
import { currentSystem } from '../../nix/settings.ts';
import type { VerifiedManifest } from '../../signing/verify.ts';
import { failedDigests } from '../../state/journal.ts';
import { readKnownFloor, timeFloor } from './floor.ts';
import { readHeld } from './held.ts';
import type { Machine } from './machine.ts';
import { pendingSystem } from './pending.ts';
import { stagedRelease } from './staged.ts';

/** The parts of a machine that the facts are gathered from. */
export type FactsSource = Pick<
  Machine,
  'settings' | 'policy' | 'nix' | 'floorDirectory' | 'machineId' | 'bootId' | 'clock'
>;

/** What is asked about a bundle. */
export type Asked = Pick<Facts, 'operation' | 'unattended' | 'bundleBytes' | 'isStaged'>;

/** What the decision needs to know about this machine. */
export async function gatherFacts(
  machine: FactsSource,
  { manifest, digest, signedBy }: VerifiedManifest,
  { operation, unattended, bundleBytes, isStaged }: Asked,
): Promise<Facts> {
  const { settings } = machine;
  const [system, { floor, doubt, records }, profile, running] = await Promise.all([
    currentSystem(machine.nix),
    readKnownFloor(machine),
    readProfile(settings.profile),
    readSystemLink(settings.currentSystem),
  ]);
  return {
    manifestDigest: digest,
    bundleBytes,
    system,
    machineId: machine.machineId,
    floor,
    floorDoubt: doubt,
    signedBy,
    unattended,
    pending: pendingSystem(records, machine.bootId),
    staged: stagedRelease(records),
    isStaged,
    failedDigests: failedDigests(records),
    ...(await readHeld(machine.floorDirectory, floor)),
    operation,
    toplevelInPlace:
      profile.toplevel === manifest.toplevel &&
      (operation !== 'switch' || (await runsSystem(running, manifest.toplevel))),
    ...timeFloor(machine, floor),
  };
}

/** Counts specialisations of it too. */
export async function runsSystem(running: StorePath | undefined, toplevel: StorePath): Promise<boolean> {
  if (running === undefined || running === toplevel) return running !== undefined;
  return (await findSpecialisation(toplevel, running)) !== undefined;
}
