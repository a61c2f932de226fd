/**
 * Whether systemd would start a different nixmaker from the one that is running, or this one with another policy or other settings. A
 * switch leaves our unit alone (`X-RestartIfChanged=false`), because it must not end the agent midway; so the agent itself, when at rest,
 * makes way for what the new system brings. Otherwise a machine that is never restarted would take every further bundle with the old code
 * and the old policy, bugs fixed since included.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { complaintOf, exitText } from '../../core/complaint.ts';
import { NixmakerError } from '../../core/errors.ts';
import { defaultSettingsFile } from '../../core/policy/settings.ts';
import { parseOwnUnit, programAfter, type Started } from '../../core/run/own-unit.ts';
import type { Machine } from '../machine/machine.ts';
import { withLock } from '../machine/with-lock.ts';

type Needed = Pick<Machine, 'clock' | 'emit' | 'files' | 'hold' | 'run' | 'settings'>;

const unit = 'nixmaker.service';
/** Milliseconds for systemd to answer. */
const deadline = 10_000;
/** Milliseconds in which another nixmaker has to show that it can start. */
const usableDeadline = 60_000;
/** Milliseconds between two looks if no run has ended in between. */
const pause = 60_000;

export class Successor {
  readonly #machine: Needed;
  readonly #invocation: string | undefined;
  readonly #first: Started | undefined;
  #lookAt = 0;
  #refused: string | undefined;

  private constructor(machine: Needed, invocation: string | undefined, first: Started | undefined) {
    this.#machine = machine;
    this.#invocation = invocation;
    this.#first = first;
  }

  /** What this process was started from. By hand, or without systemd, nothing would start a successor: then there never is one. */
  static async open(
    machine: Needed,
    env: Readonly<Record<string, string | undefined>> = process.env,
  ): Promise<Successor> {
    const invocation = env.NOTIFY_SOCKET === undefined ? undefined : env.INVOCATION_ID;
    const first = invocation === undefined ? undefined : await startedNow(machine);
    return new Successor(machine, invocation, first);
  }

  /** A run has ended, which may have changed it: look at once. */
  hint(): void {
    this.#lookAt = 0;
  }

  /** Whether to end so that a successor can be started. To be asked at rest. */
  async isDue(): Promise<boolean> {
    const { emit, clock } = this.#machine;
    if (this.#first === undefined || clock.monotonic() < this.#lookAt) return false;
    this.#lookAt = clock.monotonic() + pause;
    const now = await startedNow(this.#machine);
    const next = programAfter(this.#first, now, this.#invocation);
    if (now === undefined || next === undefined) return false;
    if (await this.#isRunUnderWay()) return false;
    const fault = await faultOf(this.#machine, next);
    if (fault === undefined) {
      const isOther = now.command !== this.#first.command;
      const why = isOther ? `start ${next}` : 'restart it, because its policy or settings changed';
      emit({ event: 'successor', detail: `the agent is stopping for systemd to ${why}` });
      return true;
    }
    // Once for each: it may be there for weeks.
    const which = `${next} ${now.configuration}`;
    if (this.#refused !== which)
      emit({ event: 'successor-unusable', level: 'warn', program: next, detail: fault });
    this.#refused = which;
    this.#lookAt += 10 * pause;
    return false;
  }

  /** A person’s run holds the lock, and may yet go back to what was there. */
  #isRunUnderWay(): Promise<boolean> {
    return withLock(this.#machine, async () => false).catch((error: unknown) => {
      if (error instanceof NixmakerError && error.code === 'busy') return true;
      throw error;
    });
  }
}

/** What an agent started now would be started from. Undefined if systemd does not say: nothing is then concluded. */
async function startedNow(
  machine: Pick<Machine, 'run' | 'files' | 'settings'>,
): Promise<Started | undefined> {
  const args = ['show', '--property=InvocationID,Restart,ExecStart', unit];
  const result = await machine.run('systemctl', args, { timeout: deadline });
  const asked = result.exitCode === 0 ? parseOwnUnit(result.stdout) : undefined;
  return asked && { ...asked, configuration: await digestOf(machine) };
}

/** Of policy and settings; an unreadable file counts as empty. */
async function digestOf({ files, settings }: Pick<Machine, 'files' | 'settings'>): Promise<string> {
  const hash = createHash('sha256');
  for (const path of [files.policy ?? settings.policyFile, files.settings ?? defaultSettingsFile]) {
    const bytes = await readFile(path).catch(() => Buffer.alloc(0));
    hash.update(`${bytes.length}\n`).update(bytes);
  }
  return hash.digest('hex');
}

/** As root asks before a commit; but a person may have switched. If the agent did not come up again, no bundle could fix it. */
async function faultOf({ run, files, settings }: Needed, program: string): Promise<string | undefined> {
  const options = files.settings === undefined ? [] : ['--settings', files.settings];
  const args = ['check-policy', ...options, files.policy ?? settings.policyFile];
  const result = await run(program, args, { timeout: usableDeadline, cwd: '/' });
  return result.exitCode === 0 ? undefined : complaintOf(result, exitText(result.exitCode));
}
