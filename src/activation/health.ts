/** Health checks: whether a machine is healthy after a switch (docs/policy.md). Bounded in time, whatever hangs. */
import { connect } from 'node:net';
import { exitText } from '../core/complaint.ts';
import { messageOf } from '../core/errors.ts';
import type { HealthPolicy } from '../core/policy/policy.ts';
import type { Clock, ProcessRunner } from '../core/ports.ts';
import type { HealthResult } from '../core/run/receipt.ts';
import {
  likeBefore,
  listRestarts,
  type Restarts,
  restartedText,
  unsteady,
  type Watched,
} from './restarts.ts';

export interface HealthContext {
  readonly run: ProcessRunner;
  readonly clock: Clock;
  /** Units that had failed before the switch, or were down; undefined if the machine has no systemd to ask. */
  readonly failedBefore: readonly string[] | undefined;
  /** Units that ran and that systemd had restarted by itself, each in the form of `restartedText`. */
  readonly restartedBefore?: readonly string[] | undefined;
}

/** Looks until everything is healthy or the looks are used up. @returns the results of the last look */
export async function checkHealth(context: HealthContext, health: HealthPolicy): Promise<HealthResult[]> {
  const restarts = new RestartsSeen(context);
  if (looksAtUnits(context, health)) await restarts.look();
  await context.clock.sleep(health.settle * 1000);
  for (let look = 0; ; look++) {
    const results = await lookOnce(context, health, restarts);
    if (results.every((r) => r.ok) || look >= health.retries) return results;
    await context.clock.sleep(health.interval * 1000);
  }
}

const looksAtUnits = ({ failedBefore }: HealthContext, { noNewFailedUnits }: HealthPolicy): boolean =>
  noNewFailedUnits && failedBefore !== undefined;

/** What systemd had restarted by itself, as of the previous look. */
class RestartsSeen {
  readonly #context: Pick<HealthContext, 'run' | 'clock'>;
  #first: { readonly found: ReadonlyMap<string, Restarts>; readonly at: number } | undefined;
  #last: ReadonlyMap<string, Restarts> = new Map();

  constructor(context: Pick<HealthContext, 'run' | 'clock'>) {
    this.#context = context;
  }

  /** @returns what is seen now, at the previous look, and since the first; undefined if systemctl does not answer */
  async look(): Promise<(Watched & { readonly before: ReadonlyMap<string, Restarts> }) | undefined> {
    const { run, clock } = this.#context;
    const before = this.#last;
    const now = await listRestarts(run);
    if (now === undefined) return undefined;
    this.#last = now;
    const at = clock.monotonic();
    this.#first ??= { found: now, at };
    return { now, before, first: this.#first.found, seconds: (at - this.#first.at) / 1000 };
  }
}

function lookOnce(
  context: HealthContext,
  health: HealthPolicy,
  restarts: RestartsSeen,
): Promise<HealthResult[]> {
  const timeout = health.timeout * 1000;
  return Promise.all([
    ...health.units.map((unit) =>
      checkProgram(context.run, `unit ${unit} is active`, {
        argv: ['systemctl', 'is-active', unit],
        timeout,
      }),
    ),
    ...health.commands.map((argv) => checkProgram(context.run, argv.join(' '), { argv, timeout })),
    ...health.tcp.map((address) => checkTcp(address, timeout)),
    ...(health.systemRunning ? [checkRunning(context)] : []),
    ...(looksAtUnits(context, health)
      ? [checkFailedUnits(context, context.failedBefore ?? []), checkRestarts(restarts, context)]
      : []),
  ]);
}

async function checkProgram(
  run: ProcessRunner,
  check: string,
  { argv, timeout }: { argv: readonly string[]; timeout: number },
): Promise<HealthResult> {
  const [program = '', ...args] = argv;
  const result = await run(program, args, { timeout, cwd: '/' });
  if (result.exitCode === 0) return { check, ok: true };
  const said = result.stderrTail.at(-1) ?? result.stdout.trim().split('\n').at(-1) ?? '';
  const why = result.timedOut ? 'timed out' : (result.startError ?? exitText(result.exitCode));
  return { check, ok: false, detail: messageOf(said === '' ? why : `${why}: ${said}`) };
}

function checkTcp({ host, port }: { host: string; port: number }, timeout: number): Promise<HealthResult> {
  const check = `${host} port ${port} answers`;
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (result: HealthResult) => {
      clearTimeout(deadline);
      socket.destroy();
      resolve(result);
    };
    // Name resolution counts too: a socket’s own timeout starts after it.
    const deadline = setTimeout(() => end({ check, ok: false, detail: 'no answer in time' }), timeout);
    socket.once('connect', () => end({ check, ok: true }));
    socket.once('error', (error) => end({ check, ok: false, detail: messageOf(error) }));
  });
}

async function checkFailedUnits({ run }: HealthContext, before: readonly string[]): Promise<HealthResult> {
  const check = 'no unit has newly failed';
  const now = await listFailedUnits(run);
  if (now === undefined) return { check, ok: false, detail: 'systemctl is not responding' };
  const further = now.filter((unit) => !before.includes(unit));
  return further.length === 0 ? { check, ok: true } : { check, ok: false, detail: further.join(', ') };
}

async function checkRestarts(
  restarts: RestartsSeen,
  { failedBefore = [], restartedBefore = [] }: HealthContext,
): Promise<HealthResult> {
  const check = 'no unit keeps restarting';
  const seen = await restarts.look();
  if (seen === undefined) return { check, ok: false, detail: 'systemctl is not responding' };
  const known = [...failedBefore, ...likeBefore(restartedBefore, seen)];
  const found = unsteady(seen.now, seen.before, known);
  return found.length === 0 ? { check, ok: true } : { check, ok: false, detail: found.join(', ') };
}

/**
 * Jobs that wait for us, or for whatever waits for us. While we are part of the boot ourselves, systemctl(1) is-system-running can’t say
 * `running`.
 */
const ours = [
  'nixmaker.service',
  'nixmaker-confirm.service',
  'boot-complete.target',
  'systemd-bless-boot.service',
];

/** What systemd is still starting or stopping, besides us; undefined if systemctl does not answer. */
async function listJobs(run: ProcessRunner): Promise<string[] | undefined> {
  const result = await run('systemctl', ['list-jobs', '--plain', '--no-legend', '--no-pager', '--full'], {
    timeout: 30_000,
  });
  if (result.exitCode !== 0) return undefined;
  return result.stdout
    .split('\n')
    .flatMap((line) => line.trim().split(/\s+/)[1] || [])
    .filter((unit) => !ours.includes(unit));
}

async function checkRunning({ run }: HealthContext): Promise<HealthResult> {
  const check = 'the system is running';
  const [jobs, failed] = await Promise.all([listJobs(run), listFailedUnits(run)]);
  if (jobs === undefined || failed === undefined)
    return { check, ok: false, detail: 'systemctl is not responding' };
  if (jobs.length > 0) return { check, ok: false, detail: `still starting: ${jobs.join(', ')}` };
  return failed.length === 0 ? { check, ok: true } : { check, ok: false, detail: failed.join(', ') };
}

const startPause = 1000;

/** Waits until the machine has started everything it has to. @param seconds after which that counts as failed */
export async function checkStart({ run, clock }: HealthContext, seconds: number): Promise<HealthResult> {
  const check = 'all units have started';
  const end = clock.monotonic() + seconds * 1000;
  for (;;) {
    const jobs = await listJobs(run);
    if (jobs?.length === 0) return { check, ok: true };
    if (clock.monotonic() > end) {
      const detail =
        jobs === undefined ? 'systemctl is not responding' : `still starting: ${jobs.join(', ')}`;
      return { check, ok: false, detail };
    }
    await clock.sleep(startPause);
  }
}

export interface UnwellUnits {
  /** Failed, or down until systemd restarts them. */
  readonly failed: readonly string[];
  /**
   * Up, and restarted by systemd at some time, each in the form of `restartedText`. Threat: nobody can tell whether such a unit crashes
   * over and over or did so once a year ago; that it restarts is no news if it came up recently, but that it has failed is.
   */
  readonly restarted: readonly string[];
}

/** Units that are not healthy before a switch; undefined if systemctl does not answer. */
export async function listUnwellUnits({
  run,
  clock,
}: Pick<HealthContext, 'run' | 'clock'>): Promise<UnwellUnits | undefined> {
  const [failed, restarts = new Map<string, Restarts>()] = await Promise.all([
    listFailedUnits(run),
    listRestarts(run),
  ]);
  if (failed === undefined) return undefined;
  const now = clock.kernel();
  const [waiting, up] = [true, false].map((waits) =>
    [...restarts].filter(([, found]) => found.waits === waits),
  );
  return {
    failed: [...new Set([...failed, ...(waiting ?? []).map(([unit]) => unit)])],
    restarted: (up ?? []).map(([unit, { upSince }]) =>
      restartedText(unit, upSince === undefined ? undefined : (now - upSince) / 1000),
    ),
  };
}

/** Units in the state `failed`; undefined if systemctl does not answer. */
export async function listFailedUnits(run: ProcessRunner): Promise<string[] | undefined> {
  const args = ['list-units', '--state=failed', '--plain', '--no-legend', '--no-pager', '--full'];
  const result = await run('systemctl', args, { timeout: 30_000 });
  if (result.exitCode !== 0) return undefined;
  return result.stdout.split('\n').flatMap((line) => line.trim().split(/\s+/)[0] || []);
}
