/** The agent's side of the divide: asks the root helper to activate what is in the store, and waits for its receipt. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { NixmakerError } from '../../core/errors.ts';
import { states } from '../../core/run/lifecycle.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import type { Operation } from '../../core/schema.ts';
import { activationRequests, writeRequest } from '../../state/requests.ts';
import type { Machine } from '../machine/machine.ts';
import type { Transaction } from '../machine/transaction.ts';
import type { Examined } from '../update/open.ts';

/** Longer than the deadline of a switch and its rollback together. Milliseconds. */
const patience = 3 * 60 * 60_000;
const pause = 200;

/** What we need of a receipt; it is root's word, so the rest is passed on as it is. */
const receipt = z.looseObject({ state: z.enum(states) });

export async function handOver(
  machine: Machine,
  {
    transaction,
    head,
    operation,
  }: { transaction: Transaction; head: Examined['head']; operation: Operation },
): Promise<Receipt> {
  await writeRequest(machine.settings.runtimeDirectory, activationRequests, {
    schema: 1,
    transaction: transaction.id,
    operation,
    source: transaction.source,
    manifest: head.manifestBytes.toString('base64'),
    signatures: head.signatureBytes.toString('base64'),
  });
  transaction.emit('handed-over');
  const answer = await waitForReceipt(machine, transaction.id);
  const { schema: _schema, transaction: _id, at: _at, source: _source, state, ...known } = answer;
  transaction.learn(known);
  return transaction.end(state, {});
}

async function waitForReceipt(machine: Machine, id: string): Promise<Receipt> {
  const path = join(machine.settings.activationDirectory, 'receipts', `${id}.json`);
  const deadline = machine.clock.monotonic() + patience;
  while (machine.clock.monotonic() < deadline) {
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (text !== undefined) return receipt.parse(JSON.parse(text)) as unknown as Receipt;
    await machine.clock.sleep(pause);
  }
  throw new NixmakerError('busy', 'nixmaker-activate.service has not answered');
}
