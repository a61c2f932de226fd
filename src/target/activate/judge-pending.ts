/** After a boot: whether the system installed for it came up, is healthy, and stays. Before any new bundle is looked at. */

import { startUnitLater } from '../../activation/units.ts';
import { NixmakerError } from '../../core/errors.ts';
import { planConfirm } from '../../core/run/confirm.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import { parseStorePath } from '../../core/store-path.ts';
import { readProfile, readSystemLink } from '../../nix/profile.ts';
import { type JournalRecord, readJournal } from '../../state/journal.ts';
import type { Machine } from '../machine/machine.ts';
import { findPending, operationOf } from '../machine/pending.ts';
import { Transaction } from '../machine/transaction.ts';
import { requireHealth } from './health.ts';
import { rollBack } from './roll-back.ts';
import { type Activation, commit } from './steps.ts';
import { requireUsable } from './usable.ts';

/** Who asks: the boot, the end of a person’s time to confirm, or that person. */
export type Occasion = 'start' | 'deadline' | 'operator';

/** The lock must be held. @returns the receipt of the run, or undefined if there is nothing to judge (yet) */
export async function judgePending(machine: Machine, occasion: Occasion): Promise<Receipt | undefined> {
  const { records } = await readJournal(machine.settings.stateDirectory);
  const record = findPending(records);
  const toplevel = parseStorePath(record?.toplevel ?? '');
  if (record === undefined || toplevel === undefined) return undefined;
  const plan = await planFor(machine, record);
  if (plan === 'wait' && !(occasion === 'operator' && record.askedIn === machine.bootId)) return undefined;
  if (occasion === 'deadline' && plan !== 'not-confirmed') return undefined;
  const transaction = Transaction.resume(machine, record, []);
  transaction.emit('confirm-plan', { plan });
  const request: Activation = { transaction, toplevel, operation: operationOf(record) };
  if (plan === 'supersede')
    return transaction.end('superseded', { detail: 'Another system was installed by other means.' });
  try {
    if (plan === 'not-booted')
      throw new NixmakerError('boot-failed', 'the machine came up in another system');
    if (plan === 'not-confirmed') throw new NixmakerError('not-confirmed', lateness(machine, record));
    // Also if a person confirms what was already found healthy.
    await requireUsable(machine, request, 'now');
    if (plan === 'check') await requireHealth(machine, { transaction, afterStart: true });
  } catch (error) {
    return rollBack(
      machine,
      { ...request, leaveToHelper: machine.settings.activation === 'systemd' && occasion !== 'operator' },
      error,
    );
  }
  if (plan === 'check' && occasion !== 'operator' && machine.policy.boot.confirm === 'manual')
    return ask(machine, transaction);
  await transaction.advance('healthy');
  return commit(machine, request);
}

/** Whether there is anything to judge at boot; asked without the lock, which a run of this boot may hold. */
export async function hasToJudge(
  machine: Pick<Machine, 'bootId' | 'clock' | 'settings'>,
  records: readonly JournalRecord[],
): Promise<boolean> {
  const record = findPending(records);
  return record !== undefined && (await planFor(machine, record)) !== 'wait';
}

async function planFor(machine: Pick<Machine, 'bootId' | 'clock' | 'settings'>, record: JournalRecord) {
  const { settings, bootId, clock } = machine;
  const { toplevel = '', askedIn, confirmBy } = record;
  return planConfirm(
    { toplevel, bootId: record.bootId, askedIn: typeof askedIn === 'string' ? askedIn : undefined },
    {
      bootId,
      booted: await readSystemLink(settings.bootedSystem),
      profile: (await readProfile(settings.profile)).toplevel,
      late: typeof confirmBy === 'number' && clock.uptime() >= confirmBy,
    },
  );
}

const lateness = ({ bootId }: Pick<Machine, 'bootId'>, { askedIn }: JournalRecord) =>
  askedIn === bootId ? 'the time to confirm it ran out' : 'the machine was restarted instead';

async function ask(machine: Machine, transaction: Transaction): Promise<Receipt> {
  const { within } = machine.policy.boot;
  transaction.learn({ askedIn: machine.bootId, confirmBy: machine.clock.uptime() + within });
  const detail = `The machine is running the new system, which is healthy. Run \`nixmaker confirm\` within ${within} seconds, or the previous system is restored.`;
  // First the clock, then the record: the other way round, a kill in between would leave no deadline.
  if (machine.settings.activation === 'systemd') {
    await startUnitLater(machine.run, {
      service: 'nixmaker-deadline.service',
      seconds: within + 1,
      timer: `nixmaker-confirm-deadline-${transaction.id}`,
    });
  }
  return transaction.end('pending', { detail });
}
