/**
 * The policy’s `hooks.after`, once per commit. It runs after the run has ended: what it deletes (a snapshot) may be needed up to the commit,
 * and the boot, which may be waiting for a commit, must not wait for it. If it is cut off, it is run again.
 */
import { messageOf } from '../../core/errors.ts';
import { type HookResult, withAfter } from '../../core/run/hooks.ts';
import { lastCommit } from '../../core/run/journal.ts';
import { isAtRest } from '../../core/run/lifecycle.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import { readAfterHook, writeAfterHook } from '../../state/after-hook.ts';
import { lastOfEach, readJournal } from '../../state/journal.ts';
import { readReceipt, saveReceipt } from '../../state/receipts.ts';
import { byRun } from '../machine/by-run.ts';
import type { Machine } from '../machine/machine.ts';
import { runNamed } from './hooks.ts';

/** The lock must be held. Never throws: the system is committed, whatever becomes of the program. @returns the run it followed */
export async function runAfterHook(machine: Machine): Promise<Receipt | undefined> {
  try {
    return await afterNewest(machine);
  } catch (error) {
    machine.emit({ event: 'hook-ended', level: 'warn', hook: 'after', ok: false, detail: messageOf(error) });
    return undefined;
  }
}

async function afterNewest(machine: Machine): Promise<Receipt | undefined> {
  const { floorDirectory, clock, policy } = machine;
  if (policy.hooks.after === undefined) return undefined;
  const last = lastOfEach((await readJournal(floorDirectory)).records);
  // What is in progress is heard of when it ends.
  if (last.some(({ state }) => !isAtRest(state))) return undefined;
  const record = lastCommit(last);
  if (record === undefined || record.afterDue !== true) return undefined;
  if ((await readAfterHook(floorDirectory).catch(() => undefined))?.transaction === record.transaction)
    return undefined;
  const { transaction, source } = record;
  // Our own lines, which held the fields of a receipt.
  const run = { ...byRun(machine, transaction), source, known: record as Partial<Receipt> };
  const ran = await runNamed(machine, run, 'after');
  if (ran === undefined) return undefined;
  await writeAfterHook(floorDirectory, {
    schema: 1,
    transaction,
    at: clock.now().toISOString(),
    result: ran.result,
  });
  return amendReceipt(machine, transaction, ran.result);
}

async function amendReceipt(
  { settings: { stateDirectory } }: Pick<Machine, 'settings'>,
  transaction: string,
  result: HookResult,
): Promise<Receipt | undefined> {
  const receipt = await readReceipt(stateDirectory, transaction);
  if (receipt === undefined) return undefined;
  const told = withAfter(receipt, result);
  await saveReceipt(stateDirectory, told);
  return told;
}
