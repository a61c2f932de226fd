/** Root’s answers to an agent that asks it to vouch for the paths of a manifest: Nix signatures by the machine’s store key. */
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { limits } from '../core/limits.ts';
import { namesIn, readIfThere } from '../files/read.ts';
import { writeDurably } from './durable.ts';

const voucher = z.strictObject({
  schema: z.literal(1),
  /** One for every path of the manifest, as narinfos have them; empty where root does not vouch. */
  signatures: z.record(z.string().max(300), z.string().max(400)),
  /** Why it does not. */
  refusal: z.string().max(limits.requestBytes).optional(),
});

export type Voucher = z.infer<typeof voucher>;

const folderOf = (activationDirectory: string) => join(activationDirectory, 'vouchers');

/** Keeps the newest only: who asked for the others has long read them, or has gone. */
export async function writeVoucher(
  activationDirectory: string,
  transaction: string,
  contents: Voucher,
): Promise<void> {
  const folder = folderOf(activationDirectory);
  for (const name of await namesIn(folder)) await unlink(join(folder, name));
  await writeDurably(join(folder, `${transaction}.json`), JSON.stringify(contents));
}

export async function readVoucher(
  activationDirectory: string,
  transaction: string,
): Promise<Voucher | undefined> {
  const text = await readIfThere(join(folderOf(activationDirectory), `${transaction}.json`));
  return text === undefined ? undefined : voucher.parse(JSON.parse(text));
}
