/** Runs one of the operator’s programs around an activation (core/run/hooks.ts). */
import { messageOf } from '../core/errors.ts';
import type { Hook } from '../core/policy/hooks.ts';
import type { ProcessRunner } from '../core/ports.ts';
import type { HookEnd } from '../core/run/hooks.ts';
import { runInJournal } from './in-journal.ts';
import { programFault } from './program.ts';

export interface HookRun {
  /** `systemd`: in a unit of its own, outside root’s confinement. `direct`: our child. */
  readonly mode: 'systemd' | 'direct';
  /** Names the unit; unique per machine and run. */
  readonly name: string;
  readonly hook: Hook;
  readonly env: Readonly<Record<string, string>>;
}

/** Seconds between SIGTERM and SIGKILL, for everything the program has started. */
const grace = 10;

let hooksStarted = 0;

/** Never throws for what the program does. */
export async function runHook(run: ProcessRunner, { mode, name, hook, env }: HookRun): Promise<HookEnd> {
  const [program, ...args] = hook.command;
  const fault = await programFault(program);
  if (fault !== undefined) return { exitCode: undefined, timedOut: false, said: [], fault };
  if (mode === 'direct') {
    const result = await run(program, args, { env, cwd: '/', timeout: hook.timeout * 1000 });
    const said = [...result.stdout.split('\n'), ...result.stderrTail].filter((l) => l !== '');
    return { ...endOf(result), said };
  }
  await stopHooks(run);
  const result = await runInJournal(run, {
    unit: `nixmaker-hook-${name}-${++hooksStarted}-${process.pid}`,
    seconds: hook.timeout,
    argv: hook.command,
    options: [
      ...[`--property=TimeoutStopSec=${grace}`, '--setenv=PATH'],
      ...Object.entries(env).map(([key, value]) => `--setenv=${key}=${value}`),
    ],
  });
  // One that a signal to us has left running.
  if (result.exitCode === undefined) await stopHooks(run);
  // systemd-run’s own words count only where it could not start anything: otherwise they are about the unit’s run time.
  const refused = result.stderrTail.filter((line) => line.startsWith('Failed to '));
  return { ...endOf(result), said: result.said.length > 0 ? result.said : refused };
}

type Ended = Pick<HookEnd, 'exitCode' | 'timedOut'> & { readonly startError: string | undefined };

const endOf = ({ exitCode, timedOut, startError }: Ended) => ({
  exitCode,
  timedOut,
  fault: startError === undefined ? undefined : messageOf(startError),
});

/**
 * Ends what is still running of hooks that a killed process of ours has started: they outlive it, and the same program must not run twice
 * at once. Whatever a person’s signal has ended, this is done.
 */
async function stopHooks(run: ProcessRunner): Promise<void> {
  const { signal } = new AbortController();
  await run('systemctl', ['stop', 'nixmaker-hook-*.service'], { timeout: (grace + 30) * 1000, signal });
}
