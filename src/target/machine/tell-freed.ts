/** How a run reports what was freed for it. */
import { NixmakerError } from '../../core/errors.ts';
import { type Freed, freedText, isAnything, together } from '../../core/run/freed.ts';
import type { Transaction } from './transaction.ts';

/** Deletions go on record, even for a run that ends up waiting once more. */
export async function tellFreed(transaction: Transaction, freed: Freed): Promise<void> {
  if (!isAnything(freed)) return;
  await transaction.record();
  transaction.learn({ freed: together(transaction.known.freed, freed) });
  transaction.notice(`Made room: ${freedText(freed)}.`);
}

/** The same error; if it is about room, it also says what was freed and that it was not enough. */
export function stillShort(error: unknown, freed: Freed): unknown {
  if (!(error instanceof NixmakerError) || !['no-space', 'no-boot-space'].includes(error.code)) return error;
  return new NixmakerError(error.code, `${error.detail}; ${freedText(freed)}`, { cause: error });
}
