/** The runs around `judgePending`: at boot, and by hand. */
import { startUnit } from '../../activation/units.ts';
import { NixmakerError } from '../../core/errors.ts';
import { isAtRest } from '../../core/run/lifecycle.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import { readProfile, readSystemLink } from '../../nix/profile.ts';
import { type JournalRecord, lastOfEach, readJournal } from '../../state/journal.ts';
import { runAfterHook } from '../activate/after-commit.ts';
import { hasToJudge, judgePending } from '../activate/judge-pending.ts';
import { resumeStopped } from '../activate/resume.ts';
import type { Machine, RootMachine } from '../machine/machine.ts';
import { findPending, runsRolledBack } from '../machine/pending.ts';
import { withLock } from '../machine/with-lock.ts';
import { requestReboot } from './reboot.ts';

const pause = 300;
/** Milliseconds. Longer than nixmaker-activate.service needs to see what was cut off. */
const deadline = 5 * 60_000;
const lockWait = ['--timeout', '60'];
/**
 * Seconds: as long as anybody may hold it, such as a collection that makes room for what the next stick has brought. Threat: the timer fires
 * once, and a system that locks everybody out stays because of a lock.
 */
const deadlineLockWait = ['--timeout', '21600'];

/**
 * What nixmaker-confirm.service does. The boot waits for it; so does a switch, because it starts every active target and whatever belongs
 * to one. So it never waits for anything of the present boot: that may be the very run whose switch started us.
 * @throws NixmakerError `busy`
 */
export async function confirmAtStart(machine: RootMachine): Promise<Receipt | undefined> {
  // Read again under the lock: a person may have confirmed in the meantime.
  const receipt = (await hasToJudge(machine, await untilAtRest(machine)))
    ? await withLock(machine, () => judgePending(machine, 'start'), lockWait)
    : undefined;
  await tidyLater(machine, receipt);
  await requestReboot(machine);
  if (receipt === undefined) await requireWanted(machine);
  return receipt;
}

/** What follows a commit takes time, and the boot is waiting for us: nixmaker-activate.service does it, `hooks.after` as well. */
async function tidyLater({ policy, role, run }: RootMachine, receipt: Receipt | undefined): Promise<void> {
  if (role !== 'root' || receipt?.state !== 'committed') return;
  if (policy.collect !== 'after-commit' && policy.hooks.after === undefined) return;
  await startUnit(run, 'nixmaker-activate.service');
}

/** What nixmaker-deadline.service does when a person’s time to confirm is up. @throws NixmakerError `busy` */
export async function confirmAtDeadline(machine: RootMachine): Promise<Receipt | undefined> {
  const receipt = await withLock(machine, () => judgePending(machine, 'deadline'), deadlineLockWait);
  await requestReboot(machine);
  return receipt;
}

/** If asked again, the answer about a rolled-back system that is still running is the same. */
async function requireWanted({ settings }: Pick<Machine, 'settings'>): Promise<void> {
  const { records } = await readJournal(settings.stateDirectory);
  const running = await readSystemLink(settings.currentSystem);
  const { toplevel: installed } = await readProfile(settings.profile);
  if (runsRolledBack(records, { running, installed }))
    throw new NixmakerError('activation-failed', 'the machine still runs the system that was rolled back');
}

/**
 * Runs cut off by an earlier boot belong to nixmaker-activate.service, which starts before us. One that it is rolling back needs no
 * judgement and must not be waited for: its switch may be waiting for the end of this very boot.
 * @returns the journal
 */
async function untilAtRest({
  settings,
  clock,
  bootId,
}: Pick<Machine, 'bootId' | 'settings' | 'clock'>): Promise<readonly JournalRecord[]> {
  const end = clock.monotonic() + deadline;
  for (;;) {
    const { records } = await readJournal(settings.stateDirectory);
    // One without a boot has changed nothing yet.
    const ofBefore = (r: JournalRecord) => r.bootId !== undefined && r.bootId !== bootId;
    const stopped = lastOfEach(records).filter((r) => !isAtRest(r.state) && ofBefore(r));
    if (stopped.length === 0) return records;
    if (stopped.some((r) => r.state === 'rolling-back'))
      throw new NixmakerError('interrupted', 'the started system is being rolled back');
    if (clock.monotonic() > end) throw new NixmakerError('busy', 'nixmaker-activate.service is still busy');
    await clock.sleep(pause);
  }
}

/** `nixmaker confirm`. @throws NixmakerError `not-restarted` */
export async function confirmByHand(machine: RootMachine): Promise<Receipt | undefined> {
  const receipt = await withLock(
    machine,
    async () => {
      const [resumed] = (await resumeStopped(machine)).filter((r) => r.state !== 'deferred');
      const receipt = (await judgePending(machine, 'operator')) ?? resumed;
      if (machine.role === 'direct') await runAfterHook(machine);
      if (receipt !== undefined) return receipt;
      const { records } = await readJournal(machine.settings.stateDirectory);
      const pending = findPending(records);
      if (pending !== undefined)
        throw new NixmakerError(
          'not-restarted',
          `sequence ${pending.sequence ?? '?'} is waiting for a restart`,
        );
      return undefined;
    },
    lockWait,
  );
  await tidyLater(machine, receipt);
  return receipt;
}
