/** Runs that were cut off after they had begun to change the machine: continued, confirmed, or rolled back. */
import { guardSystem } from '../../activation/switch.ts';
import { NixmakerError } from '../../core/errors.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import { planResume, type ResumePlan } from '../../core/run/resume.ts';
import { isLasting, operation as operationSchema } from '../../core/schema.ts';
import { parseStorePath, type StorePath } from '../../core/store-path.ts';
import { readSystemLink } from '../../nix/profile.ts';
import { isValid } from '../../nix/store.ts';
import type { Machine } from '../machine/machine.ts';
import { endStoppedRuns, type StoppedRun } from '../machine/stopped-runs.ts';
import type { Transaction } from '../machine/transaction.ts';
import { judgePending } from './judge-pending.ts';
import { rollBack } from './roll-back.ts';
import { carryOn } from './steps.ts';

/**
 * Settles every run that was cut off. The lock must be held: otherwise a run in progress would look the same. If there is no unit to do it
 * after a boot, also judges the system that was installed for it.
 */
export async function resumeStopped(machine: Machine): Promise<Receipt[]> {
  const receipts = await endStoppedRuns(machine, (run) => resumeChanged(machine, run));
  const judged = machine.role === 'direct' ? await judgePending(machine, 'start') : undefined;
  return judged === undefined
    ? receipts
    : [...receipts.filter((r) => r.transaction !== judged.transaction), judged];
}

async function resumeChanged(
  machine: Machine,
  { transaction, record, stopped }: StoppedRun,
): Promise<Receipt> {
  const toplevel = parseStorePath(record.toplevel ?? '');
  const parsed = operationSchema.safeParse(transaction.known.operation);
  const operation = parsed.success ? parsed.data : machine.policy.operation;
  const plan = await planFor(machine, transaction, toplevel);
  transaction.emit('resume-plan', { plan });
  if (operation === 'dry-activate' && record.state !== 'rolling-back')
    return transaction.end('failed', { code: stopped.code, detail: stopped.detail });
  // `test` and `dry-activate` were never meant to last: whatever they began is undone.
  if (plan === 'roll-back' || toplevel === undefined || !isLasting(operation))
    return rollBack(machine, { transaction, operation }, causeOf(transaction, stopped));
  if (plan === 'go-on') return carryOn(machine, { transaction, toplevel, operation });
  transaction.notice('The machine was restarted before the run ended; it came up in the new system.');
  return transaction.end('pending', {
    detail: 'The machine came up in the new system, which is not confirmed yet.',
  });
}

/** A rollback that was cut off continues for the reason it was begun. */
function causeOf({ known }: Transaction, stopped: NixmakerError): NixmakerError {
  return known.code === undefined ? stopped : new NixmakerError(known.code, known.detail ?? '');
}

async function planFor(
  { nix, settings, bootId }: Pick<Machine, 'nix' | 'settings' | 'bootId'>,
  { state, known }: Transaction,
  toplevel: StorePath | undefined,
): Promise<ResumePlan> {
  const toplevelUsable =
    toplevel !== undefined && (await isValid(nix, toplevel)) && (await isSystem(toplevel));
  return planResume(
    { state, toplevel, bootId: known.bootId },
    { bootId, booted: await readSystemLink(settings.bootedSystem), toplevelUsable },
  );
}

async function isSystem(toplevel: StorePath): Promise<boolean> {
  try {
    await guardSystem(toplevel);
    return true;
  } catch (error) {
    if (error instanceof NixmakerError && error.code === 'not-a-system') return false;
    throw error;
  }
}
