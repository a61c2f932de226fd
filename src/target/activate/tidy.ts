/**
 * `collect: after-commit`: deletes what the retention lets go and what nothing needs any more, once per commit. It happens after the run
 * has ended, because a commit must not wait for it; if it is cut off, it is begun again.
 */
import { messageOf, NixmakerError } from '../../core/errors.ts';
import { type Freed, isAnything } from '../../core/run/freed.ts';
import { lastCommit } from '../../core/run/journal.ts';
import { isAtRest } from '../../core/run/lifecycle.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import { readTidied, writeTidied } from '../../state/freed.ts';
import { type JournalRecord, lastOfEach, readJournal } from '../../state/journal.ts';
import { readReceipt, saveReceipt } from '../../state/receipts.ts';
import { byRun } from '../machine/by-run.ts';
import type { Machine } from '../machine/machine.ts';
import { settle } from './leave.ts';
import { freeStore, type RoomMaker } from './store-room.ts';

/**
 * The lock must be held. Never throws when something goes wrong: the next commit is another chance.
 * @returns what was freed, and after which run; undefined if there was nothing to do
 */
export async function tidyUp(
  machine: RoomMaker,
): Promise<{ readonly transaction: string; readonly freed: Freed } | undefined> {
  try {
    // By the policy as it is now.
    await settle(machine, 'cut-off');
    if (machine.policy.collect !== 'after-commit') return undefined;
    return await tidyAfterCommit(machine);
  } catch (error) {
    machine.emit({ event: 'tidy-failed', level: 'warn', detail: messageOf(error) });
    return undefined;
  }
}

async function tidyAfterCommit(machine: RoomMaker) {
  const { floorDirectory, clock } = machine;
  const commit = findCommit((await readJournal(floorDirectory)).records);
  if (commit === undefined) return undefined;
  const { transaction } = commit;
  if ((await readTidied(floorDirectory).catch(unknownYet))?.transaction === transaction) return undefined;
  const freed = await freeStore(machine, byRun(machine, transaction), {
    goal: 'everything',
    isOneComing: false,
  });
  if (isAnything(freed)) await amendReceipt(machine, transaction, freed);
  await writeTidied(floorDirectory, { schema: 1, transaction, at: clock.now().toISOString(), freed });
  return { transaction, freed };
}

/** Where the record is damaged, it is done once more and written anew: otherwise it would never be done again. */
function unknownYet(error: unknown): undefined {
  if (!(error instanceof NixmakerError) || error.code !== 'state-corrupt') throw error;
}

/** The newest, if nothing is in progress and nothing waits to be judged. */
function findCommit(records: readonly JournalRecord[]): JournalRecord | undefined {
  const last = lastOfEach(records);
  if (last.some(({ state }) => !isAtRest(state) || state === 'pending')) return undefined;
  return lastCommit(last);
}

async function amendReceipt(
  { settings }: Pick<Machine, 'settings'>,
  transaction: string,
  freed: Freed,
): Promise<void> {
  const receipt: Receipt | undefined = await readReceipt(settings.stateDirectory, transaction);
  if (receipt !== undefined) await saveReceipt(settings.stateDirectory, { ...receipt, freed });
}
