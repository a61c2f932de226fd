/** Runs that stopped midway are brought to an end before anything new is begun. */
import { guardSystem } from '../../activation/switch.ts';
import { NixmakerError } from '../../core/errors.ts';
import { isAtRest, type State } from '../../core/run/lifecycle.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import { planResume, type ResumePlan } from '../../core/run/resume.ts';
import { operation as operationSchema } from '../../core/schema.ts';
import { parseStorePath, type StorePath } from '../../core/store-path.ts';
import { readSystemLink } from '../../nix/profile.ts';
import { isValid } from '../../nix/store.ts';
import { type JournalRecord, lastOfEach, readJournal } from '../../state/journal.ts';
import type { Machine } from '../machine/machine.ts';
import { repairStore } from '../machine/repair-store.ts';
import { Transaction } from '../machine/transaction.ts';
import { withLock } from '../machine/with-lock.ts';
import { dropImportRoots } from '../update/import.ts';
import { carryOn } from './activate.ts';
import { judgePending } from './confirm.ts';
import { rollBack } from './roll-back.ts';

/** When the agent starts, before it looks at the inbox. @throws NixmakerError `busy` */
export function resumeAtStart(machine: Machine): Promise<Receipt[]> {
  return withLock(machine, () => resumeStopped(machine));
}

/**
 * Brings to rest every run that was cut off. The lock must be held: a run that is under way would look the same.
 * Where there is no unit to do it after a start of the machine, also judges the system that was installed for it.
 */
export async function resumeStopped(machine: Machine): Promise<Receipt[]> {
  const receipts = await bringToRest(machine);
  const judged = machine.settings.activation === 'direct' ? await judgePending(machine, 'start') : undefined;
  return judged === undefined
    ? receipts
    : [...receipts.filter((r) => r.transaction !== judged.transaction), judged];
}

async function bringToRest(machine: Machine): Promise<Receipt[]> {
  const { records } = await readJournal(machine.settings.stateDirectory);
  const receipts: Receipt[] = [];
  for (const record of lastOfEach(records)) {
    if (isAtRest(record.state)) continue;
    const reached = records.filter((r) => r.transaction === record.transaction).map((r) => r.state);
    receipts.push(await resumeRun(machine, record, reached));
  }
  if (receipts.length > 0) await dropImportRoots(machine);
  return receipts;
}

async function resumeRun(
  machine: Machine,
  record: JournalRecord,
  reached: readonly State[],
): Promise<Receipt> {
  const transaction = Transaction.resume(machine, record, reached);
  const toplevel = parseStorePath(record.toplevel ?? '');
  const parsed = operationSchema.safeParse(transaction.known.operation);
  const operation = parsed.success ? parsed.data : machine.policy.operation;
  // `test` and `dry-activate` were never meant to last: whatever they have begun is undone.
  const lasting = operation === 'switch' || operation === 'boot';
  const plan = await planFor(machine, transaction, toplevel);
  const stopped = new NixmakerError('interrupted', `it stopped in the state ${record.state}`);
  transaction.emit('resume-plan', { plan });
  if (plan === 'forget' || (operation === 'dry-activate' && record.state !== 'rolling-back')) {
    const end = plan === 'forget' ? 'deferred' : 'failed';
    // Recorded as `imported` it would have been flushed first.
    if (record.state === 'accepted' && record.bootId !== machine.bootId)
      await repairStore(machine, { transaction, since: new Date(record.at) });
    return transaction.end(end, { code: stopped.code, detail: stopped.detail });
  }
  if (plan === 'roll-back' || toplevel === undefined || !lasting) {
    return rollBack(machine, { transaction, operation }, causeOf(transaction, stopped));
  }
  const request = { transaction, toplevel, operation };
  if (plan === 'go-on') return carryOn(machine, request);
  transaction.notice('The machine was restarted before the run had ended; it came up in the new system.');
  return transaction.end('pending', {
    detail: 'The machine came up in the new system, which is yet to be confirmed.',
  });
}

/** A rollback that was cut off goes on for the reason it was begun for. */
function causeOf({ known }: Transaction, stopped: NixmakerError): NixmakerError {
  return known.code === undefined ? stopped : new NixmakerError(known.code, known.detail ?? '');
}

async function planFor(
  machine: Machine,
  transaction: Transaction,
  toplevel: StorePath | undefined,
): Promise<ResumePlan> {
  const { state, known } = transaction;
  const usable = toplevel !== undefined && (await isUsable(machine, toplevel));
  return planResume(
    { state, toplevel, bootId: known.bootId },
    {
      bootId: machine.bootId,
      booted: await readSystemLink(machine.settings.bootedSystem),
      toplevelUsable: usable,
    },
  );
}

async function isUsable(machine: Machine, toplevel: StorePath): Promise<boolean> {
  if (!(await isValid(machine.nix, toplevel))) return false;
  try {
    await guardSystem(toplevel);
    return true;
  } catch (error) {
    if (error instanceof NixmakerError && error.code === 'not-a-system') return false;
    throw error;
  }
}
