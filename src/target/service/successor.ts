/**
 * Whether systemd would start another nixmaker than the one that runs. A switch leaves our unit alone (`X-RestartIfChanged=false`), for it
 * must not end the agent midway; so at rest the agent itself makes room for what the new system brings. Were it not to, a machine that
 * is never restarted would take every further bundle by the code of old, faults that were mended included.
 */
import { complaintOf } from '../../core/complaint.ts';
import { NixmakerError } from '../../core/errors.ts';
import { type OwnUnit, parseOwnUnit, programAfter } from '../../core/run/own-unit.ts';
import type { Machine } from '../machine/machine.ts';
import { withLock } from '../machine/with-lock.ts';

type Needed = Pick<Machine, 'clock' | 'emit' | 'files' | 'hold' | 'run' | 'settings'>;

const unit = 'nixmaker.service';
/** Milliseconds for systemd to answer. */
const deadline = 10_000;
/** Milliseconds in which another nixmaker has to show that it can start. */
const usableDeadline = 60_000;
/** Milliseconds between two looks where no run has ended meanwhile. */
const pause = 60_000;

export class Successor {
  readonly #machine: Needed;
  readonly #invocation: string | undefined;
  readonly #first: OwnUnit | undefined;
  #lookAt = 0;
  #refused: string | undefined;

  private constructor(machine: Needed, invocation: string | undefined, first: OwnUnit | undefined) {
    this.#machine = machine;
    this.#invocation = invocation;
    this.#first = first;
  }

  /** What this process was started from. By hand, or without systemd, there is nobody who would start another: then none ever follows. */
  static async open(
    machine: Needed,
    env: Readonly<Record<string, string | undefined>> = process.env,
  ): Promise<Successor> {
    const invocation = env.NOTIFY_SOCKET === undefined ? undefined : env.INVOCATION_ID;
    const first = invocation === undefined ? undefined : await ask(machine);
    return new Successor(machine, invocation, first);
  }

  /** A run has ended, which may have changed it: look at once. */
  hint(): void {
    this.#lookAt = 0;
  }

  /** Whether to end, for another to be started. To be asked at rest. */
  async isDue(): Promise<boolean> {
    const { emit, clock } = this.#machine;
    if (this.#first === undefined || clock.monotonic() < this.#lookAt) return false;
    this.#lookAt = clock.monotonic() + pause;
    const next = programAfter(this.#first, await ask(this.#machine), this.#invocation);
    if (next === undefined) return false;
    if (await this.#isRunUnderWay()) return false;
    const fault = await faultOf(this.#machine, next);
    if (fault === undefined) {
      emit({ event: 'successor', detail: `the agent ends, for systemd to start ${next}` });
      return true;
    }
    // Once of each: it may be there for weeks.
    if (this.#refused !== next)
      emit({ event: 'successor-unusable', level: 'warn', program: next, detail: fault });
    this.#refused = next;
    this.#lookAt += 10 * pause;
    return false;
  }

  /** A person’s run holds the lock, and may yet go back to what was. */
  #isRunUnderWay(): Promise<boolean> {
    return withLock(this.#machine, async () => false).catch((error: unknown) => {
      if (error instanceof NixmakerError && error.code === 'busy') return true;
      throw error;
    });
  }
}

/** Undefined where systemd does not say: then nothing is concluded. */
async function ask({ run }: Pick<Machine, 'run'>): Promise<OwnUnit | undefined> {
  const args = ['show', '--property=InvocationID,Restart,ExecStart', unit];
  const result = await run('systemctl', args, { timeout: deadline });
  return result.exitCode === 0 ? parseOwnUnit(result.stdout) : undefined;
}

/** As root asks before a commit; but a person may have switched. An agent that does not come up again could be mended by no bundle. */
async function faultOf({ run, files, settings }: Needed, program: string): Promise<string | undefined> {
  const options = files.settings === undefined ? [] : ['--settings', files.settings];
  const args = ['check-policy', ...options, files.policy ?? settings.policyFile];
  const result = await run(program, args, { timeout: usableDeadline, cwd: '/' });
  return result.exitCode === 0 ? undefined : complaintOf(result, `exit ${result.exitCode ?? 'by a signal'}`);
}
