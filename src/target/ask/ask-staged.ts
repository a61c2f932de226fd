/** What the agent has to do with the release that is staged: it asks root to look at it, and ends its own record of the run as root did. */
import { isAtRest } from '../../core/run/lifecycle.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import { type JournalRecord, lastOfEach, readJournal } from '../../state/journal.ts';
import { readReceipt } from '../../state/receipts.ts';
import { stagedRequests } from '../../state/requests.ts';
import { readStagedRecord } from '../../state/staged.ts';
import type { Machine } from '../machine/machine.ts';
import { allStaged, readStaged } from '../machine/staged.ts';
import { Transaction } from '../machine/transaction.ts';
import { activationDeadline, ask } from './ask.ts';

/** @throws NixmakerError `busy` */
export async function activateStaged(machine: Machine): Promise<Receipt | undefined> {
  const staged = await readStaged(machine);
  if (staged === undefined) return undefined;
  const { activationDirectory } = machine.settings;
  const id = machine.randomHex(6);
  const receipt = await ask(machine, {
    kind: stagedRequests,
    request: { schema: 2, transaction: id },
    answer: async () => {
      const record = await readStagedRecord(machine.floorDirectory, staged.manifestDigest);
      const found = await readReceipt(activationDirectory, staged.transaction);
      const isAnswered = record?.answered === id || (found !== undefined && found.state !== 'staged');
      return isAnswered ? found : undefined;
    },
    deadline: activationDeadline,
    isAnsweredFirst: true,
  });
  await endStaged(machine);
  return receipt;
}

/** Those of our own runs that were staged and are no longer: root’s journal has the last word on what became of them. */
export async function endStaged(machine: Machine): Promise<Receipt[]> {
  const own = allStaged((await readJournal(machine.settings.stateDirectory)).records);
  if (own.length === 0) return [];
  const roots = lastOfEach((await readJournal(machine.floorDirectory)).records);
  const receipts: Receipt[] = [];
  for (const record of own) {
    const found = roots.find((r) => r.transaction === record.transaction);
    // It waits, or is being installed.
    if (found !== undefined && (found.state === 'staged' || !isAtRest(found.state))) continue;
    const transaction = Transaction.resume(machine, record, ['staged']);
    receipts.push(await endAsRoot(transaction, found));
  }
  return receipts;
}

function endAsRoot(transaction: Transaction, found: JournalRecord | undefined): Promise<Receipt> {
  if (found === undefined)
    return transaction.end('failed', { code: 'staged-lost', detail: 'root has no record of it' });
  const { schema: _schema, transaction: _id, at: _at, source: _source, state, ...known } = found;
  // Root’s own lines: they held the fields of a Receipt.
  transaction.learn(known as Parameters<Transaction['learn']>[0]);
  return transaction.end(state, {});
}
