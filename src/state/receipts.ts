/** Receipts on disk, one file a run. */
import { join } from 'node:path';
import type { Receipt } from '../core/run/receipt.ts';
import { readIfThere } from '../files/read.ts';
import { writeDurably } from './durable.ts';

const receiptFile = (stateDirectory: string, id: string) => join(stateDirectory, 'receipts', `${id}.json`);

export async function saveReceipt(stateDirectory: string, receipt: Receipt): Promise<string> {
  const path = receiptFile(stateDirectory, receipt.transaction);
  await writeDurably(path, `${JSON.stringify(receipt, null, 2)}\n`);
  return path;
}

/** The state a run's receipt tells of; undefined where it has none, or none that can be read. */
export async function receiptState(stateDirectory: string, id: string): Promise<string | undefined> {
  const text = await readIfThere(receiptFile(stateDirectory, id));
  try {
    return (JSON.parse(text ?? '{}') as { state?: string }).state;
  } catch {
    return undefined;
  }
}
