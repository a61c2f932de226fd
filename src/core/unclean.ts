/** Whether an import may have been cut off with the power, told from the journal. */
import type { State } from './lifecycle.ts';

export interface ImportTrace {
  readonly transaction: string;
  readonly state: State;
  /** boot_id in which the line was written. */
  readonly bootId?: string | undefined;
}

/**
 * True where a run in another boot had begun to import (`accepted`) and never recorded that it was done, and no later
 * run has (`imported` is recorded after the store was flushed, and after whatever this finds has been mended).
 */
export function importWasCutOff(records: readonly ImportTrace[], bootId: string): boolean {
  const cutOff = new Set<string>();
  for (const { state, transaction, bootId: then } of records) {
    if (state === 'imported') cutOff.clear();
    else if (state === 'accepted' && then !== bootId) cutOff.add(transaction);
  }
  return cutOff.size > 0;
}
