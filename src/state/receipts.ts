/** Receipts on disk, one file a run. */
import { join } from 'node:path';
import * as z from 'zod';
import { states } from '../core/run/lifecycle.ts';
import type { Receipt } from '../core/run/receipt.ts';
import { readIfThere } from '../files/read.ts';
import { writeDurably } from './durable.ts';
import { parseStored } from './stored.ts';

const receiptFile = (stateDirectory: string, id: string) => join(stateDirectory, 'receipts', `${id}.json`);

export async function saveReceipt(stateDirectory: string, receipt: Receipt): Promise<string> {
  const path = receiptFile(stateDirectory, receipt.transaction);
  await writeDurably(path, `${JSON.stringify(receipt, null, 2)}\n`);
  return path;
}

/** What is looked at; the rest is the writer’s word, and passed on as it is. */
const receiptParser = z.looseObject({ state: z.enum(states) });

/** A run’s receipt; undefined while it has none. @throws NixmakerError `state-corrupt` where it is damaged */
export async function readReceipt(stateDirectory: string, id: string): Promise<Receipt | undefined> {
  const path = receiptFile(stateDirectory, id);
  const text = await readIfThere(path);
  return text === undefined ? undefined : (parseStored(text, path, receiptParser) as unknown as Receipt);
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
