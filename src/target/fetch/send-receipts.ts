/**
 * Receipts that the agent’s side has left in the folder, sent to a server that takes them (`nixmaker serve`): each once. Any other
 * server says no, and they stay for whoever carries the folder.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { poolFolder } from '../../core/bundle/pool-folder.ts';
import { limits } from '../../core/limits.ts';
import { isReceiptName } from '../../core/receipt-name.ts';
import * as z from '../../core/zod.ts';
import { readForeign } from '../../files/foreign.ts';
import { namesIn } from '../../files/read.ts';
import { writeWhole } from '../../files/write.ts';
import type { Client } from '../../network/client.ts';

/** By server: what it has, as sha256 by name. Lost or damaged, everything is sent once more. */
const ledger = z.record(z.string(), z.record(z.string(), z.string()));

const ledgerOf = (folder: string) => join(folder, '.sent.json');

/** As many as a desk keeps of one host. */
const mostSent = limits.receiptsKept;

/** @returns how many were sent; undefined if the server takes none @throws NixmakerError as `Client.put` */
export async function sendReceipts(
  client: Client,
  { folder, host }: { readonly folder: string; readonly host: string },
): Promise<number | undefined> {
  const place = join(folder, poolFolder, 'receipts', host);
  const names = (await namesIn(place, 'ENOTDIR')).filter(isReceiptName);
  const newest = names.sort((a, b) => Number.parseInt(b, 10) - Number.parseInt(a, 10)).slice(0, mostSent);
  const known = await readLedger(folder);
  const before = known[client.name] ?? {};
  const now: Record<string, string> = {};
  let sent = 0;
  try {
    for (const name of newest) {
      const bytes = await readForeign(place, name, limits.receiptBytes);
      if (bytes === undefined) continue;
      const digest = createHash('sha256').update(bytes).digest('hex');
      if (before[name] !== digest) {
        if (!(await client.put(`${poolFolder}/receipts/${host}/${name}`, bytes))) return undefined;
        sent += 1;
      }
      now[name] = digest;
    }
    return sent;
  } finally {
    if (sent > 0)
      await writeWhole(ledgerOf(folder), JSON.stringify({ ...known, [client.name]: { ...before, ...now } }));
  }
}

async function readLedger(folder: string): Promise<z.infer<typeof ledger>> {
  const text = await readFile(ledgerOf(folder), 'utf8').catch(() => '{}');
  try {
    return ledger.parse(JSON.parse(text));
  } catch {
    return {};
  }
}
