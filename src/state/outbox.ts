/**
 * Receipts that have yet to leave this machine, one file each, signed. A receipt stays until it has been written to a medium and flushed; a
 * newer one about the same sequence replaces an older one.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { NixmakerError } from '../core/errors.ts';
import * as z from '../core/zod.ts';
import { namesIn, readIfThere } from '../files/read.ts';
import { withChecksum } from './checksummed.ts';
import { writeDurably } from './durable.ts';
import { anySchema } from './stored.ts';
import { readChecked } from './two-copies.ts';

const ledger = z.looseObject({
  schema: anySchema,
  /** Number of the last signed receipt. */
  number: z.int().check(z.gte(0)),
  /** Runs that already have their receipt, as `transaction:state`; newest last. */
  told: z.array(z.string()),
});

export type Ledger = z.infer<typeof ledger>;

const ledgerFile = (folder: string) => join(folder, 'receipts-told');
const outboxOf = (folder: string) => join(folder, 'outbox');

/** Runs remembered: more than a journal gains between two visits. */
const mostTold = 1000;
/** Receipts that may wait: beyond that the oldest are dropped, because the desk will hear of newer ones. */
const mostWaiting = 64;

/** @throws NixmakerError `state-corrupt` */
export async function readLedger(folder: string): Promise<Ledger> {
  const text = await readIfThere(ledgerFile(folder));
  if (text === undefined) return { schema: 1, number: 0, told: [] };
  const told = readChecked(text, ledger);
  if (told === undefined) throw new NixmakerError('state-corrupt', `${ledgerFile(folder)} is damaged`);
  return told;
}

export async function writeLedger(folder: string, { number, told }: Ledger): Promise<void> {
  await writeDurably(ledgerFile(folder), withChecksum({ schema: 1, number, told: told.slice(-mostTold) }));
}

export async function addToOutbox(folder: string, name: string, text: string): Promise<void> {
  await writeDurably(join(outboxOf(folder), name), text);
  const waiting = await listOutbox(folder);
  const numbered = (n: string) => Number.parseInt(n, 10) || 0;
  const oldest = [...waiting].sort((a, b) => numbered(a) - numbered(b)).slice(0, -mostWaiting);
  for (const old of oldest) await rm(join(outboxOf(folder), old));
}

export async function listOutbox(folder: string): Promise<string[]> {
  return (await namesIn(outboxOf(folder))).filter((n) => n.endsWith('.json')).sort();
}

export async function readFromOutbox(folder: string, name: string): Promise<string | undefined> {
  return readIfThere(join(outboxOf(folder), name));
}

/** @param text what was delivered; anything newer that has arrived since stays */
export async function removeFromOutbox(folder: string, name: string, text: string): Promise<void> {
  if ((await readFromOutbox(folder, name)) === text) await rm(join(outboxOf(folder), name));
}
