/** The one file that wires up the target: settings, policy, keys, Nix, process runner, clock. */
import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { readFile } from 'node:fs/promises';
import { findPackageJSON } from 'node:module';
import { join } from 'node:path';
import { NixmakerError } from '../../core/errors.ts';
import { type Keyring, withKeyring } from '../../core/policy/keyring.ts';
import { nobodyTrusted } from '../../core/policy/nobody-trusted.ts';
import type { Policy } from '../../core/policy/policy.ts';
import type { Settings } from '../../core/policy/settings.ts';
import { defaultSettingsFile, type Role } from '../../core/policy/settings.ts';
import type { Clock, EventSink, ProcessHolder, ProcessListener, ProcessRunner } from '../../core/ports.ts';
import { Interruption } from '../../core/run/interruption.ts';
import type { State } from '../../core/run/lifecycle.ts';
import type { NixContext } from '../../nix/command.ts';
import { daemonSocketOf } from '../../nix/daemon.ts';
import { systemClock } from '../../process/clock.ts';
import { holdProgram, listenToProgram, runProgram } from '../../process/run.ts';
import { type TrustSet, trustSetOf } from '../../signing/verify.ts';
import { readPolicy, readSettings, salvageSettings } from '../../state/config.ts';
import { readKeyring } from '../../state/keyring.ts';

/** A machine opened by a process that may act as root. */
export type RootMachine = Machine & { readonly role: 'root' | 'direct' };

/** @param what this process was asked to do, in words for people @throws NixmakerError `usage` */
export function requireRoot(machine: Machine, what: string): RootMachine {
  if (machine.role === 'agent') throw new NixmakerError('usage', `only root can ${what}`);
  return machine as RootMachine;
}

export interface Machine {
  /** Nixmaker’s own version. */
  readonly version: string;
  readonly settings: Settings;
  /** As given on the command line, for further processes of ours that we start. */
  readonly files: { readonly settings: string | undefined; readonly policy: string | undefined };
  /** As in the file, but with the keys of any newer keyring accepted since. */
  readonly policy: Policy;
  readonly trust: TrustSet;
  /** The newest keyring accepted, whether or not it is in effect. */
  readonly keyring: Keyring | undefined;
  /** Checks again which keyring root has accepted. */
  readonly reloadKeyring: () => Promise<void>;
  /** Holds the floor and the journal of activations, which only root may change where root is a separate process. */
  readonly floorDirectory: string;
  /** The agent’s own folder, where its lock is. To root, everything in it is hostile (files/foreign.ts); the same goes for the next one. */
  readonly agentDirectory: string;
  /** Where the agent puts its requests to root. */
  readonly requestsDirectory: string;
  readonly role: Role;
  readonly nix: NixContext;
  readonly run: ProcessRunner;
  readonly hold: ProcessHolder;
  readonly listen: ProcessListener;
  readonly clock: Clock;
  /** Unguessable hexadecimal digits. */
  readonly randomHex: (bytes: number) => string;
  readonly emit: EventSink;
  /** machine-id(5) of this machine. */
  readonly machineId: string | undefined;
  /** boot_id (proc_sys_kernel(5)): different after every boot. */
  readonly bootId: string;
  /** Respected until anything has been changed. */
  readonly interruption?: Interruption;
  /** Called before and after each transition is on disk; the tests’ kill matrix hooks in here. */
  readonly onTransition?: (when: 'before' | 'after', state: State) => void;
}

export interface MachineOptions {
  /** As read by `openSettings`. */
  readonly settings: Settings;
  readonly role: Role;
  /** As given on the command line. */
  readonly files: { readonly settingsFile?: string | undefined; readonly policyFile?: string | undefined };
  readonly emit: EventSink;
}

interface Trusted {
  readonly keyring: Keyring | undefined;
  readonly policy: Policy;
  readonly trust: TrustSet;
}

/** @throws NixmakerError of the configuration kind (exit 78), before anything else is looked at */
export async function openMachine(options: MachineOptions): Promise<Machine> {
  const { role, files } = options;
  const settings = settingsFor(options.settings, role);
  const written = await readPolicy(files.policyFile ?? settings.policyFile, process.getuid?.() ?? 0);
  // Checked even if a keyring is in effect instead: an unusable policy must be noticed before it is needed.
  trustSetOf(written);
  const readTrust = async () => {
    const keyring = await readKeyring(floorDirectoryOf(settings));
    const policy = withKeyring(written, keyring);
    return { keyring, policy, trust: trustSetOf(policy) };
  };
  return assemble(options, await readTrust(), readTrust);
}

/**
 * A machine that can only undo what was begun, because its policy or keyring is unusable: it trusts nobody. A switch that locks nixmaker
 * out must not lock out the way back as well.
 */
export function openToUndo(options: MachineOptions): Promise<Machine> {
  const nobody = { keyring: undefined, policy: nobodyTrusted, trust: { keys: [], threshold: 1 } };
  return assemble(options, nobody, async () => nobody);
}

async function assemble(
  { settings: given, role, files, emit }: MachineOptions,
  first: Trusted,
  readTrust: () => Promise<Trusted>,
): Promise<Machine> {
  const settings = settingsFor(given, role);
  let trusted = first;
  const interruption = new Interruption();
  const run = interruptible(interruption);
  return {
    version: await readVersion(),
    settings,
    files: { settings: files.settingsFile, policy: files.policyFile },
    get policy() {
      return trusted.policy;
    },
    get trust() {
      return trusted.trust;
    },
    get keyring() {
      return trusted.keyring;
    },
    reloadKeyring: async () => {
      trusted = await readTrust();
    },
    floorDirectory: floorDirectoryOf(settings),
    agentDirectory: given.stateDirectory,
    requestsDirectory: given.runtimeDirectory,
    role,
    interruption,
    nix: { ...contextFor(settings), run },
    run,
    hold: (program, args) => holdProgram(program, args, { isApart: interruption.isWatched }),
    listen: listenToProgram,
    clock: systemClock,
    randomHex: (bytes) => randomBytes(bytes).toString('hex'),
    emit,
    machineId: await readMachineId(),
    bootId: await readBootId(),
  };
}

/** What is true of the process and the boot, whatever machine is opened: for one that is only being installed. */
export const liveMachine = async (): Promise<Pick<Machine, 'version' | 'bootId' | 'machineId'>> => ({
  version: await readVersion(),
  bootId: await readBootId(),
  machineId: await readMachineId(),
});

const readBootId = async (): Promise<string> =>
  (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();

/** Ends with the run that must end itself, and is kept apart from the signals of a terminal that was closed. */
function interruptible(interruption: Interruption): ProcessRunner {
  setMaxListeners(0, interruption.signal);
  return (program, args, options = {}) =>
    runProgram(program, args, {
      signal: interruption.signal,
      isApart: interruption.isWatched,
      ...options,
    });
}

/** How to reach this machine’s Nix. */
export function contextFor(settings: Settings): NixContext {
  return {
    run: runProgram,
    store: settings.store,
    daemonSocket: daemonSocketOf(settings.store, process.env),
    // Nix clients keep a database of cached narinfos; ours are good for one import only.
    env: { XDG_CACHE_HOME: `${settings.runtimeDirectory}/cache` },
  };
}

/**
 * Root keeps its journal, and everything else it writes, where nobody else can write, whether root runs the unit, the command line or the
 * agent. In a sandbox (`direct`) there is one process, one user and one folder.
 */
export function settingsFor(settings: Settings, role: Role): Settings {
  const { activationDirectory: stateDirectory } = settings;
  return role === 'root'
    ? { ...settings, stateDirectory, runtimeDirectory: rootsRuntimeDirectory(settings) }
    : settings;
}

/** Where root reports its progress, tells and asks whoever sits at the screen, and where its Nix keeps its files. */
const rootsRuntimeDirectory = ({ activationDirectory }: Settings): string => join(activationDirectory, 'run');

/** Where a run’s progress is reported: the agent’s, and that of a command run as root. */
export const runtimeDirectories = (settings: Settings): readonly string[] =>
  settings.activation === 'systemd'
    ? [settings.runtimeDirectory, rootsRuntimeDirectory(settings)]
    : [settings.runtimeDirectory];

/** Where root tells and asks whoever sits at the screen (state/screen.ts). */
export const screenDirectoryOf = (settings: Settings): string =>
  settings.activation === 'systemd' ? rootsRuntimeDirectory(settings) : settings.runtimeDirectory;

export function floorDirectoryOf(settings: Settings): string {
  return settings.activation === 'systemd' ? settings.activationDirectory : settings.stateDirectory;
}

/** The usable part of settings that can’t be used as a whole. */
export const openSalvagedSettings = (file: string | undefined): Promise<Settings> =>
  salvageSettings(file ?? defaultSettingsFile);

/** @param file as given by the operator; if omitted, the default file, which need not exist */
export function openSettings(file: string | undefined): Promise<Settings> {
  return readSettings(file ?? defaultSettingsFile, { required: file !== undefined });
}

async function readVersion(): Promise<string> {
  // Found by searching: the installed package has a different depth from the sources.
  const file = findPackageJSON('..', import.meta.url);
  if (file === undefined) throw new NixmakerError('internal', 'nixmaker’s package.json is missing');
  const text = await readFile(file, 'utf8');
  return String((JSON.parse(text) as { version?: unknown }).version);
}

async function readMachineId(): Promise<string | undefined> {
  const text = await readFile('/etc/machine-id', 'utf8').catch(() => '');
  return /^[0-9a-f]{32}$/.exec(text.trim())?.[0];
}
