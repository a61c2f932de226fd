/** Restarts the machine if the policy allows it: after an installation, and never while somebody is working. */

import { findStartChanges } from '../../activation/inspect.ts';
import { startUnit, startUnitLater } from '../../activation/units.ts';
import { complaintOf } from '../../core/complaint.ts';
import { NixmakerError } from '../../core/errors.ts';
import type { HeldProcess } from '../../core/ports.ts';
import { timeFloorOf } from '../../core/run/floor.ts';
import { type RebootFacts, rebootReason, rebootTiming } from '../../core/run/reboot.ts';
import { readProfile, readSystemLink } from '../../nix/profile.ts';
import { readFloor } from '../../state/floor.ts';
import { type JournalRecord, lastOfEach, readJournal } from '../../state/journal.ts';
import { acquireForeignLock, acquireLock } from '../../state/lock.ts';
import type { Machine } from '../machine/machine.ts';
import { findPending, runsRolledBack } from '../machine/pending.ts';

const service = 'nixmaker-reboot.service';

/** Called when a run has ended. nixmaker-reboot.service does the rest, in its own time. */
export async function requestReboot(machine: Machine): Promise<void> {
  if (machine.role !== 'root') return;
  const because = await reasonToRestart(machine);
  if (because === undefined) return;
  machine.emit({ event: 'reboot-requested', because });
  await startUnit(machine.run, service);
}

/** Why the machine should be restarted; undefined if it should not be, or not by us. */
export async function reasonToRestart(
  machine: Pick<Machine, 'bootId' | 'floorDirectory' | 'policy' | 'settings'>,
): Promise<string | undefined> {
  const { records } = await readJournal(machine.floorDirectory);
  return rebootReason(machine.policy.reboot, await restartFacts(machine, records));
}

async function restartFacts(
  { settings, bootId }: Pick<Machine, 'settings' | 'bootId'>,
  records: readonly JournalRecord[],
): Promise<RebootFacts> {
  const [booted, running, profile] = await Promise.all([
    readSystemLink(settings.bootedSystem),
    readSystemLink(settings.currentSystem),
    readProfile(settings.profile),
  ]);
  const installed = profile.toplevel;
  return {
    pending: findPending(records)?.bootId === bootId,
    runsRolledBack: runsRolledBack(records, { running, installed }),
    switched: lastOfEach(records).some(
      (r) =>
        r.state === 'committed' &&
        r.bootId === bootId &&
        r.toplevel === installed &&
        // A bundle that was already in place has installed nothing.
        r.generation !== undefined,
    ),
    differs: await findStartChanges(booted, installed),
  };
}

/** Milliseconds to wait for whatever is in the way. */
const busyPause = 30_000;

/** What nixmaker-reboot.service runs: restarts the machine, or schedules itself for when that may be possible. */
export async function restartMachine(machine: Machine, signal: AbortSignal): Promise<void> {
  const { policy, clock } = machine;
  const because = await reasonToRestart(machine);
  if (because === undefined) return;
  machine.emit({ event: 'reboot-soon', because, seconds: policy.reboot.delay });
  await clock.sleep(policy.reboot.delay * 1000, signal);
  const { floor } = await readFloor(machine.floorDirectory);
  const newest = new Date(timeFloorOf(floor?.createdAt));
  const timing = rebootTiming(policy.reboot, clock.now(), newest);
  if (!timing.now) return comeBack(machine, timing);
  const locks = await acquireLocks(machine);
  if (locks === undefined) return comeBack(machine, { again: busyPause, because: 'a bundle is being taken' });
  try {
    // What the restart was for may have been undone while we waited.
    if ((await reasonToRestart(machine)) === undefined) return;
    // As for a person at a terminal: inhibitor locks are respected (systemctl(1)).
    const result = await machine.run('systemctl', ['reboot', '--check-inhibitors=yes']);
    if (result.exitCode !== 0) {
      const because = complaintOf(result, `exit ${result.exitCode}`);
      return await comeBack(machine, { again: busyPause, because });
    }
    machine.emit({ event: 'rebooting', because });
    // Done with the locks held, so that nobody begins anything that the restart would cut off.
    await clock.sleep(15 * 60_000, signal);
  } finally {
    for (const lock of locks) await lock.release();
  }
}

/** The agent’s and root’s; undefined if either is at work. */
async function acquireLocks({
  hold,
  settings,
  agentDirectory,
}: Pick<Machine, 'hold' | 'settings' | 'agentDirectory'>): Promise<HeldProcess[] | undefined> {
  const held: HeldProcess[] = [];
  try {
    const agents = await acquireForeignLock(hold, agentDirectory);
    if (agents !== undefined) held.push(agents);
    held.push(await acquireLock(hold, settings.stateDirectory));
    return held;
  } catch (error) {
    for (const lock of held) await lock.release();
    if (error instanceof NixmakerError && error.code === 'busy') return undefined;
    throw error;
  }
}

async function comeBack(
  { run, emit }: Pick<Machine, 'run' | 'emit'>,
  { again, because }: { again: number; because: string },
): Promise<void> {
  const seconds = Math.ceil(again / 1000);
  emit({ event: 'reboot-waits', because, seconds });
  await startUnitLater(run, { service, seconds, timer: `nixmaker-reboot-again-${process.pid}` });
}
