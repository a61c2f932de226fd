/** Runs a system’s own switch-to-configuration, the only program of a bundle that is ever started. */
import { access, constants, stat } from 'node:fs/promises';
import { messageOf, NixmakerError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { Clock, ProcessRunner } from '../core/ports.ts';
import { classifySwitch, type SwitchOutcome } from '../core/run/switch-outcome.ts';
import type { StorePath } from '../core/store-path.ts';

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

/** Journal lines kept per switch. */
const linesRead = 5000;
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

/**
 * As nixos-rebuild does it, but without a pipe: if the reader died, the switch would die with it (nixpkgs #462179). Its output goes to the
 * journal, and is read from there.
 */
async function runAsUnit(
  { run, transaction, deadline }: Activation,
  { toplevel, verb }: { toplevel: StorePath; verb: SwitchVerb },
): Promise<SwitchResult> {
  // The process id: a process that was killed and started again must not collide with its own earlier unit. The count: a rollback runs the
  // same verb again, and its output must not be mistaken for that of the first.
  const unit = `nixmaker-switch-${transaction}-${verb}-${++unitsStarted}-${process.pid}`;
  const args = ['--collect', '--no-ask-password', '--wait', '--service-type=exec', `--unit=${unit}`];
  const properties = ['--property=WorkingDirectory=/', `--property=RuntimeMaxSec=${deadline / 1000}`];
  const environment = ['--setenv=LOCALE_ARCHIVE', '--setenv=NIXOS_INSTALL_BOOTLOADER'];
  const program = `${toplevel}/bin/switch-to-configuration`;
  const result = await run('systemd-run', [...args, ...properties, ...environment, '--', program, verb], {
    cwd: '/',
  });
  if (result.startError !== undefined) {
    throw new NixmakerError('activation-failed', `cannot start systemd-run: ${messageOf(result.startError)}`);
  }
  // Only the unit’s own processes: with `--unit`, systemd’s “Failed with result” would be the last word. More lines than are kept, because
  // failures are printed before the status of each unit.
  const journal = await run('journalctl', [
    ...[`_SYSTEMD_UNIT=${unit}.service`, '--output=cat', '--no-pager', `--lines=${linesRead}`],
  ]);
  const said = journal.exitCode === 0 ? journal.stdout.split('\n').filter((l) => l !== '') : [];
  // systemd-run passes on the exit code of what it ran; a timeout it reports only in words.
  const timedOut = result.stderrTail.some((line) => line.includes('Finished with result: timeout'));
  const heard = said.length > 0 ? said : result.stderrTail;
  return {
    outcome: classifySwitch({ exitCode: result.exitCode, timedOut, said: heard }),
    exitCode: result.exitCode,
    output: heard.slice(-limits.outputLines),
  };
}
