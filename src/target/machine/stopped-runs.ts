/**
 * Runs that stopped midway are finished before anything new begins. On either side, a run that has changed nothing is dropped; the others
 * are left to whoever may change the machine (activate/resume.ts).
 */
import { NixmakerError } from '../../core/errors.ts';
import { hasBegunToChange, isAtRest } from '../../core/run/lifecycle.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import { type JournalRecord, lastOfEach, readJournal } from '../../state/journal.ts';
import { dropImportRoots } from './import-roots.ts';
import type { Machine } from './machine.ts';
import { repairStore } from './repair-store.ts';
import { Transaction } from './transaction.ts';

export interface StoppedRun {
  readonly transaction: Transaction;
  readonly record: JournalRecord;
  readonly stopped: NixmakerError;
}

/** The lock must be held: otherwise a run in progress would look the same. */
export async function endStoppedRuns(
  machine: Machine,
  resumeChanged: (run: StoppedRun) => Promise<Receipt>,
): Promise<Receipt[]> {
  const { records } = await readJournal(machine.settings.stateDirectory);
  const receipts: Receipt[] = [];
  for (const record of lastOfEach(records)) {
    if (isAtRest(record.state)) continue;
    const reached = records.filter((r) => r.transaction === record.transaction).map((r) => r.state);
    const transaction = Transaction.resume(machine, record, reached);
    const stopped = new NixmakerError('interrupted', `it stopped in state ${record.state}`);
    const run = { transaction, record, stopped };
    receipts.push(await (hasBegunToChange(record.state) ? resumeChanged(run) : forget(machine, run)));
  }
  if (receipts.length > 0) await dropImportRoots(machine);
  return receipts;
}

/** Nothing was changed; if the bundle is still there, it is taken from the beginning. */
async function forget(
  machine: Pick<Machine, 'bootId' | 'nix' | 'settings'>,
  { transaction, record, stopped }: StoppedRun,
): Promise<Receipt> {
  transaction.emit('resume-plan', { plan: 'forget' });
  // Had it been recorded as `imported`, it would have been flushed first.
  if (record.state === 'accepted' && record.bootId !== machine.bootId)
    await repairStore(machine, { transaction, since: new Date(record.at) });
  return transaction.end('deferred', { code: stopped.code, detail: stopped.detail });
}
