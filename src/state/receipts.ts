/** Receipts on disk, one file per run. */
import { lstat, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ifMissing } from '../core/errno.ts';
import { limits } from '../core/limits.ts';
import { states } from '../core/run/lifecycle.ts';
import type { Receipt } from '../core/run/receipt.ts';
import * as z from '../core/zod.ts';
import { namesIn, readIfThere } from '../files/read.ts';
import { writeDurably } from './durable.ts';
import { readJournal } from './journal.ts';
import { readOwn } from './own.ts';
import { parseStored } from './stored.ts';

const receiptsFolder = (stateDirectory: string) => join(stateDirectory, 'receipts');
const receiptFile = (stateDirectory: string, id: string) =>
  join(receiptsFolder(stateDirectory), `${id}.json`);

export async function saveReceipt(stateDirectory: string, receipt: Receipt): Promise<string> {
  const path = receiptFile(stateDirectory, receipt.transaction);
  await writeDurably(path, `${JSON.stringify(receipt, null, 2)}\n`);
  return path;
}

/** What is checked; the rest is the writer’s word, and passed on as it is. */
const receiptParser = z.looseObject({ state: z.enum(states) });

/** A run’s receipt; undefined while it has none. @throws NixmakerError `state-corrupt` if it is damaged */
export async function readReceipt(stateDirectory: string, id: string): Promise<Receipt | undefined> {
  const path = receiptFile(stateDirectory, id);
  const text = await readOwn(path);
  return text === undefined ? undefined : (parseStored(text, path, receiptParser) as unknown as Receipt);
}

/** The state in a run's receipt; undefined if it has none, or none that can be read. */
export async function receiptState(stateDirectory: string, id: string): Promise<string | undefined> {
  const text = await readIfThere(receiptFile(stateDirectory, id));
  try {
    return (JSON.parse(text ?? '{}') as { state?: string }).state;
  } catch {
    return undefined;
  }
}

/** So many of the newest without a run in the journal stay: somebody may be about to read them. */
const fewest = 100;

/** If there are too many receipts, those whose runs are no longer in the journal go. */
export async function pruneReceipts(stateDirectory: string): Promise<void> {
  const folder = receiptsFolder(stateDirectory);
  const names = (await namesIn(folder)).filter((name) => name.endsWith('.json'));
  if (names.length <= limits.receipts) return;
  const { records } = await readJournal(stateDirectory);
  const now = Date.now();
  const known = new Set(records.map((r) => `${r.transaction}.json`));
  const others: { readonly path: string; readonly time: number }[] = [];
  for (const name of names) {
    if (known.has(name)) continue;
    const path = join(folder, name);
    const time = await lstat(path).then((s) => s.mtimeMs, ifMissing(0));
    // What is from the future was written before the clock was set back.
    others.push({ path, time: time > now ? 0 : time });
  }
  others.sort((a, b) => b.time - a.time);
  for (const { path } of others.slice(fewest)) await rm(path, { force: true });
}
