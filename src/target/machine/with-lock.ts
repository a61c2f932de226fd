/** What all runs share: the lock around them, and a proper end whatever is thrown inside. */
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

/** @param wait as in `acquireLock` @throws NixmakerError `busy` */
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

/** Trims what grows with every run. A full disk is for the run itself to report: it may be the one that frees room. */
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
 * Ends the run with what was thrown. From `profile-set` on, however, only a rollback may end a run; if even that could not begin (a full
 * disk), the journal stays open, the error propagates, and the run is taken up again.
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

/** Where a thrown code leads: wait, refuse, or fail. The exit code tells which. */
function endOf(code: ReasonCode): End {
  const { exit } = catalogue[code];
  if (isPassing(exit)) return 'deferred';
  if (exit === exitCodes.badBundle || exit === exitCodes.refusedByPolicy) return 'refused';
  return 'failed';
}
