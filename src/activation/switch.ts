/** Runs a system’s own switch-to-configuration, the only program of a bundle that is ever started. */
import { access, constants, stat } from 'node:fs/promises';
import { messageOf, NixmakerError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { Clock, ProcessRunner } from '../core/ports.ts';
import { classifySwitch, type SwitchOutcome } from '../core/run/switch-outcome.ts';
import type { StorePath } from '../core/store-path.ts';
import { runInJournal } from './in-journal.ts';

export type SwitchVerb = 'check' | 'boot' | 'switch' | 'test' | 'dry-activate';

export interface Activation {
  readonly run: ProcessRunner;
  readonly clock: Clock;
  /** `systemd`: a transient unit, which outlives us. `direct`: our child, for machines without systemd-run. */
  readonly mode: 'systemd' | 'direct';
  /** Names the transient unit. */
  readonly transaction: string;
  /** Milliseconds. switch-to-configuration has no deadline of its own; a unit that never finishes starting would hold it for ever. */
  readonly deadline: number;
}

export interface SwitchResult {
  readonly outcome: SwitchOutcome;
  readonly exitCode: number | undefined;
  /** The last lines of its output. */
  readonly output: readonly string[];
}

let unitsStarted = 0;

const lockRetries = 20;
const lockPause = 3000;

/**
 * The same check as nixos-rebuild: a system has `nixos-version`, and the program to switch to it.
 * @throws NixmakerError `not-a-system`
 */
export async function guardSystem(toplevel: StorePath): Promise<void> {
  const program = `${toplevel}/bin/switch-to-configuration`;
  const version = await stat(`${toplevel}/nixos-version`).catch(() => undefined);
  const executable = await access(program, constants.X_OK).then(
    () => true,
    () => false,
  );
  if (version?.isFile() !== true)
    throw new NixmakerError('not-a-system', `${toplevel} has no nixos-version file`);
  if (!executable) throw new NixmakerError('not-a-system', `${program} is missing or not executable`);
}

/** Runs one verb, retrying while another switch holds the lock. */
export async function runSwitch(
  activation: Activation,
  { toplevel, verb }: { toplevel: StorePath; verb: SwitchVerb },
): Promise<SwitchResult> {
  for (let attempt = 1; ; attempt++) {
    const result = await (activation.mode === 'direct'
      ? runDirectly(activation, toplevel, verb)
      : runAlone(activation, { toplevel, verb }));
    if (result.outcome !== 'lock-held' || attempt > lockRetries) return result;
    await activation.clock.sleep(lockPause);
  }
}

async function runDirectly(
  { run, deadline }: Activation,
  toplevel: StorePath,
  verb: SwitchVerb,
): Promise<SwitchResult> {
  const result = await run(`${toplevel}/bin/switch-to-configuration`, [verb], {
    cwd: '/',
    timeout: deadline,
  });
  const heard = [...result.stdout.split('\n').filter((l) => l !== ''), ...result.stderrTail];
  const said = result.startError === undefined ? heard : [messageOf(result.startError)];
  return {
    outcome: classifySwitch({ ...result, said }),
    exitCode: result.exitCode,
    output: said.slice(-limits.outputLines),
  };
}

/**
 * Waits for switches of ours that are still running, then runs this one: a switch outlives whatever started it, and may be at work when a
 * run is taken up again.
 */
async function runAlone(
  activation: Activation,
  request: { toplevel: StorePath; verb: SwitchVerb },
): Promise<SwitchResult> {
  const args = [
    'list-units',
    '--plain',
    '--no-legend',
    '--no-pager',
    '--state=active,activating,deactivating',
  ];
  const end = activation.clock.monotonic() + activation.deadline;
  for (;;) {
    const found = await activation.run('systemctl', [...args, 'nixmaker-switch-*.service'], {
      timeout: 30_000,
    });
    if (found.exitCode !== 0 || found.stdout.trim() === '') break;
    if (activation.clock.monotonic() > end)
      return { outcome: 'hung', exitCode: undefined, output: [found.stdout.trim()] };
    await activation.clock.sleep(lockPause);
  }
  return runAsUnit(activation, request);
}

async function runAsUnit(
  { run, transaction, deadline }: Activation,
  { toplevel, verb }: { toplevel: StorePath; verb: SwitchVerb },
): Promise<SwitchResult> {
  // The process id: a process that was killed and started again must not collide with its own earlier unit. The count: a rollback runs the
  // same verb again, and its output must not be mistaken for that of the first.
  const unit = `nixmaker-switch-${transaction}-${verb}-${++unitsStarted}-${process.pid}`;
  const program = `${toplevel}/bin/switch-to-configuration`;
  const result = await runInJournal(run, {
    unit,
    seconds: deadline / 1000,
    argv: [program, verb],
    options: ['--setenv=LOCALE_ARCHIVE', '--setenv=NIXOS_INSTALL_BOOTLOADER'],
  });
  if (result.startError !== undefined) {
    throw new NixmakerError('activation-failed', `cannot start systemd-run: ${messageOf(result.startError)}`);
  }
  const heard = result.said.length > 0 ? result.said : result.stderrTail;
  return {
    outcome: classifySwitch({ exitCode: result.exitCode, timedOut: result.timedOut, said: heard }),
    exitCode: result.exitCode,
    output: heard.slice(-limits.outputLines),
  };
}
