/** How a run tells what was freed for it. */
import { NixmakerError } from '../../core/errors.ts';
import { type Freed, freedText, isAnything, together } from '../../core/run/freed.ts';
import type { Transaction } from './transaction.ts';

/** What was deleted is on record, also of a run that comes to nothing but waiting once more. */
export async function tellFreed(transaction: Transaction, freed: Freed): Promise<void> {
  if (!isAnything(freed)) return;
  await transaction.record();
  transaction.learn({ freed: together(transaction.known.freed, freed) });
  transaction.notice(`Made room: ${freedText(freed)}.`);
}

/** The same error; where it is about room, with what was freed and was not enough. */
export function stillShort(error: unknown, freed: Freed): unknown {
  if (!(error instanceof NixmakerError) || !['no-space', 'no-boot-space'].includes(error.code)) return error;
  return new NixmakerError(error.code, `${error.detail}; ${freedText(freed)}`, { cause: error });
}
