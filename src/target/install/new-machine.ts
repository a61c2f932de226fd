/** The machine that is being installed, as the same object that it will open itself after its first start: only, below another root. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Keyring } from '../../core/policy/keyring.ts';
import type { Policy } from '../../core/policy/policy.ts';
import type { Settings } from '../../core/policy/settings.ts';
import type { EventSink } from '../../core/ports.ts';
import { systemClock } from '../../process/clock.ts';
import { holdProgram, listenToProgram, runProgram } from '../../process/run.ts';
import { type TrustSet, trustSetOf } from '../../signing/verify.ts';
import { floorDirectoryOf, liveMachine, type RootMachine } from '../machine/machine.ts';

export interface NewMachine {
  /** Where its file systems are mounted. */
  readonly root: string;
  /** Its own, by its own paths. */
  readonly settings: Settings;
  readonly policy: Policy;
  readonly keyring: Keyring | undefined;
  /** For bundles that are encrypted: secret keys of the person who installs. */
  readonly identityFile: string | undefined;
  readonly machineId: string | undefined;
  readonly emit: EventSink;
}

/** Everything it writes is below the new root, and belongs to root. */
export async function machineBelow(given: NewMachine): Promise<RootMachine> {
  const { root, policy, keyring, emit, machineId } = given;
  const settings = settingsBelow(root, given);
  const { version, bootId } = await liveMachine();
  const trust: TrustSet = trustSetOf(policy);
  const env = { XDG_CACHE_HOME: join(settings.runtimeDirectory, 'cache') };
  return {
    ...{ version, bootId, machineId, settings, policy, trust, keyring, emit },
    files: { settings: undefined, policy: undefined },
    reloadKeyring: async () => undefined,
    floorDirectory: settings.stateDirectory,
    agentDirectory: join(root, given.settings.stateDirectory),
    requestsDirectory: settings.runtimeDirectory,
    role: 'root',
    // Without a daemon: nobody serves a store that no system runs from yet.
    nix: { run: runProgram, store: root, env },
    run: runProgram,
    hold: holdProgram,
    listen: listenToProgram,
    clock: systemClock,
    randomHex: (bytes) => randomBytes(bytes).toString('hex'),
  };
}

/** As root’s process of the new system has them (settingsFor), but `direct`: its units can’t be asked for anything yet. */
function settingsBelow(
  root: string,
  { settings, identityFile }: Pick<NewMachine, 'settings' | 'identityFile'>,
): Settings {
  const floorDirectory = floorDirectoryOf(settings);
  return {
    ...settings,
    activation: 'direct',
    store: root,
    stateDirectory: join(root, floorDirectory),
    activationDirectory: join(root, settings.activationDirectory),
    runtimeDirectory: join(root, floorDirectory, 'run'),
    profile: join(root, settings.profile),
    // Nothing of it runs.
    currentSystem: join(root, settings.currentSystem),
    bootedSystem: join(root, settings.bootedSystem),
    bootDirectory: join(root, settings.bootDirectory),
    identityFile,
  };
}
