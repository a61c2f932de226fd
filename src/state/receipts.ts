/** Receipts on disk, one file a run. */
import { join } from 'node:path';
import type { Receipt } from '../core/receipt.ts';
import { writeDurably } from './durable.ts';

export async function saveReceipt(stateDirectory: string, receipt: Receipt): Promise<string> {
  const path = join(stateDirectory, 'receipts', `${receipt.transaction}.json`);
  await writeDurably(path, `${JSON.stringify(receipt, null, 2)}\n`);
  return path;
}
