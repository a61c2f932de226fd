/**
 * Root’s side in memory and one folder, for fast tests of what it decides: programs answer as the test says, time passes when somebody
 * sleeps. Whether systemd and Nix answer so is for the tests with real ones to show.
 */
import { readlinkSync, unlinkSync } from 'node:fs';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { policyParser } from '../../src/core/policy/policy.ts';
import { settingsParser } from '../../src/core/policy/settings.ts';
import type { CommandOptions, CommandResult, RunEvent } from '../../src/core/ports.ts';
import type { StorePath } from '../../src/core/store-path.ts';
import { parseTrustedKey } from '../../src/signing/trusted-key.ts';
import { appendJournal, type JournalRecord, lastOfEach, readJournal } from '../../src/state/journal.ts';
import type { RootMachine } from '../../src/target/machine/machine.ts';
import { pair, temporaryFolder } from './bundles.ts';
import { storePathOf } from './releases.ts';

export interface Started {
  readonly argv: readonly string[];
  readonly options: CommandOptions;
}

export interface InMemory {
  readonly machine: RootMachine;
  readonly started: Started[];
  readonly events: RunEvent[];
  /** What every run has come to. */
  readonly runs: () => Promise<JournalRecord[]>;
  readonly write: (...records: readonly Partial<JournalRecord>[]) => Promise<void>;
}

export interface Making {
  readonly policy?: Record<string, unknown>;
  readonly settings?: Record<string, unknown>;
  readonly role?: 'root' | 'direct';
  /** Systems, by what leads there. */
  readonly running?: StorePath;
  readonly booted?: StorePath;
  /** Generations of the profile; the last is the present one. */
  readonly generations?: readonly StorePath[];
  /** What a program does; without an answer it ends well and says nothing. */
  readonly answer?: (argv: readonly string[]) => Partial<CommandResult> | undefined;
  readonly isLocked?: (file: string) => boolean;
  /** Called before time passes. */
  readonly onSleep?: (milliseconds: number) => Promise<void> | void;
  readonly now?: string;
}

export const oldSystem = storePathOf(1, 'nixos-system-web-old');
export const newSystem = storePathOf(2, 'nixos-system-web-new');
export const thisBoot = 'boot-2';
export const lastBoot = 'boot-1';

const well: CommandResult = {
  exitCode: 0,
  stdout: '',
  stderrTail: [],
  timedOut: false,
  startError: undefined,
};

/** A line of a journal, of a run that has installed the new system over the old. */
export const record = (changes: Partial<JournalRecord> = {}): JournalRecord => ({
  ...{
    schema: 1,
    at: '2026-11-28T00:00:00Z',
    transaction: '0123456789ab',
    state: 'pending',
    source: 'web.tar',
  },
  ...{
    operation: 'boot',
    toplevel: newSystem,
    bootId: lastBoot,
    sequence: 5,
    manifestDigest: 'd'.repeat(64),
  },
  ...{ createdAt: '2026-11-23T12:00:00Z', generation: 2 },
  ...{ previousToplevel: oldSystem, previousGeneration: 1, previousCurrent: oldSystem },
  ...changes,
});

export async function rootInMemory(t: TestContext, making: Making = {}): Promise<InMemory> {
  const folder = await temporaryFolder(t);
  const settings = await settingsIn(folder, making);
  const { clock, events, started, run } = worldOf(making);
  const policy = {
    schema: 1,
    host: 'web',
    operation: 'switch',
    trustedKeys: [pair.public],
    ...making.policy,
  };
  // As the new system leaves it: it is opened before a commit.
  const policyFile = join(folder, 'policy.json');
  await writeFile(policyFile, JSON.stringify(policy));
  const machine = {
    ...{ version: '0.1.0', settings, files: { policy: policyFile }, policy: policyParser.parse(policy) },
    ...{ floorDirectory: settings.stateDirectory, agentDirectory: join(folder, 'agent') },
    ...{
      requestsDirectory: join(folder, 'agent'),
      trust: { keys: [parseTrustedKey(pair.public)], threshold: 1 },
    },
    ...{ role: making.role ?? 'root', run, clock, machineId: undefined, bootId: thisBoot },
    nix: { run, store: 'daemon', env: {} },
    hold: async (_: string, args: readonly string[]) =>
      making.isLocked?.(lockIn(args)) === true ? undefined : { release: async () => undefined },
    randomHex: (bytes: number) => 'ab'.repeat(bytes),
    emit: (event: RunEvent) => events.push(event),
  } as unknown as RootMachine;
  return {
    ...{ machine, started, events },
    runs: async () => lastOfEach((await readJournal(settings.stateDirectory)).records),
    write: async (...records) => {
      for (const changes of records) await appendJournal(settings.stateDirectory, record(changes));
    },
  };
}

/** The lock’s own name, also where flock(1) gets an open file. */
function lockIn(args: readonly string[]): string {
  const file = args.find((a) => a.endsWith('/lock') || a.includes('/fd/')) ?? '';
  return file.startsWith('/proc/') ? readlinkSync(file) : file;
}

async function settingsIn(folder: string, { settings, running, booted, generations }: Making) {
  const links = join(folder, 'links');
  await mkdir(links);
  await mkdir(join(folder, 'agent'));
  const profile = join(links, 'system');
  for (const [i, system] of (generations ?? []).entries()) await symlink(system, `${profile}-${i + 1}-link`);
  if (generations !== undefined) await symlink(`system-${generations.length}-link`, profile);
  if (running !== undefined) await symlink(running, join(links, 'running'));
  if (booted !== undefined) await symlink(booted, join(links, 'booted'));
  return settingsParser.parse({
    ...{ stateDirectory: join(folder, 'state'), activationDirectory: join(folder, 'state') },
    ...{ runtimeDirectory: join(folder, 'run'), activation: 'direct', profile },
    ...{ currentSystem: join(links, 'running'), bootedSystem: join(links, 'booted'), ...settings },
  });
}

function worldOf({ answer, onSleep, now = '2026-11-28T12:00:00Z' }: Making) {
  const events: RunEvent[] = [];
  const started: Started[] = [];
  let passed = 0;
  let sleeps = 0;
  const clock = {
    now: () => new Date(Date.parse(now) + passed),
    monotonic: () => passed,
    uptime: () => 100 + passed / 1000,
    kernel: () => 100_000 + passed,
    sleep: async (milliseconds: number) => {
      await onSleep?.(milliseconds);
      if (++sleeps > 10_000) throw new Error('it waits and waits');
      passed += milliseconds;
    },
  };
  const run = async (program: string, args: readonly string[], options: CommandOptions = {}) => {
    started.push({ argv: [program, ...args], options });
    // What has no end is to fail, and not to hang.
    if (started.length > 1000) throw new Error('a thousand programs were started');
    return { ...well, ...answer?.([program, ...args]) };
  };
  return { clock, events, started, run };
}

/** An answer: generations are deleted as nix-env(1) deletes them. */
export function deletingGenerations(argv: readonly string[]): Partial<CommandResult> | undefined {
  const at = argv.indexOf('--delete-generations');
  if (at === -1) return undefined;
  const profile = argv[argv.indexOf('--profile') + 1];
  for (const number of argv.slice(at + 1)) unlinkSync(`${profile}-${number}-link`);
  return {};
}
