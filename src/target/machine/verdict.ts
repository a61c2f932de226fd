/** How a run ends that the decision lets go no further. */
import type { Verdict } from '../../core/policy/decide.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import type { Transaction } from './transaction.ts';

/** Ends a run as the decision says. */
export function endAs(
  transaction: Transaction,
  { verdict, code, detail }: Extract<Verdict, { verdict: 'refuse' | 'defer' }>,
): Promise<Receipt> {
  return transaction.end(verdict === 'refuse' ? 'refused' : 'deferred', { code, detail });
}

export function nothingToDo({ verdict }: Verdict): string {
  return verdict === 'already-pending'
    ? 'This bundle is installed already and waits for the next start; nothing was to be done.'
    : 'This bundle had been taken before; nothing was to be done.';
}
