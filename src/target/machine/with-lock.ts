/** What every run has in common: the lock around it, and an end whatever is thrown within it. */
import { catalogue, isPassing } from '../../core/catalogue.ts';
import { insteadOf } from '../../core/errno.ts';
import { exitCodes, type ReasonCode } from '../../core/errors.ts';
import { hasBegunToChange } from '../../core/run/lifecycle.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import { compactJournal } from '../../state/journal.ts';
import { acquireLock } from '../../state/lock.ts';
import { pruneReceipts } from '../../state/receipts.ts';
import type { Machine } from './machine.ts';
import { outcomeOf, type Transaction } from './transaction.ts';

/** @param wait as `acquireLock` has it @throws NixmakerError `busy` */
export async function withLock<T>(
  machine: Pick<Machine, 'hold' | 'settings'>,
  work: () => Promise<T>,
  wait?: readonly string[],
): Promise<T> {
  const lock = await acquireLock(machine.hold, machine.settings.stateDirectory, wait);
  try {
    await keepBounds(machine.settings.stateDirectory);
    return await work();
  } finally {
    await lock.release();
  }
}

/** What grows with every run. Where the disk is full, that is for the run to say, which may be what makes room. */
async function keepBounds(stateDirectory: string): Promise<void> {
  try {
    await compactJournal(stateDirectory);
    await pruneReceipts(stateDirectory);
  } catch (error) {
    insteadOf(['ENOSPC', 'EDQUOT', 'EROFS'], undefined)(error);
  }
}

type End = 'deferred' | 'refused' | 'failed';

/**
 * Ends the run with what was thrown. But from `profile-set` on only a rollback may end a run; if even that could
 * not be begun (a full disk), the journal stays open, the error goes on, and the run is taken up again.
 */
export async function endingWhatThrows(
  machine: Pick<Machine, 'emit' | 'interruption'>,
  { transaction, endFor = endOf }: { transaction: Transaction; endFor?: (code: ReasonCode) => End },
  work: () => Promise<Receipt>,
): Promise<Receipt> {
  try {
    return await work();
  } catch (error) {
    if (hasBegunToChange(transaction.state)) throw error;
    const outcome = outcomeOf(machine.interruption?.fault ?? error);
    if (outcome.code === 'internal')
      machine.emit({ event: 'fault', level: 'error', transaction: transaction.id, stack: stackOf(error) });
    return await transaction.end(endFor(outcome.code), outcome);
  }
}

const stackOf = (error: unknown) => (error instanceof Error ? (error.stack ?? error.message) : String(error));

/** Where a code leads that was thrown on the way: wait, refuse, or fail. Exit codes say which it is. */
function endOf(code: ReasonCode): End {
  const { exit } = catalogue[code];
  if (isPassing(exit)) return 'deferred';
  if (exit === exitCodes.badBundle || exit === exitCodes.refusedByPolicy) return 'refused';
  return 'failed';
}
