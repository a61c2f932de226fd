/** Root’s answers when the agent asks it to vouch for a release’s paths: Nix signatures by the machine’s store key. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { catalogue } from '../core/catalogue.ts';
import type { ReasonCode } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import * as z from '../core/zod.ts';
import { clearAnswers, readAnswer, writeAnswer } from './answers.ts';
import { writeDurably } from './durable.ts';

/** Signatures in the form of `nix.sig`, or why root does not vouch. */
export type Voucher = { readonly signatures: Buffer } | { readonly refusal: Refusal };

export interface Refusal {
  readonly code: ReasonCode;
  readonly detail: string;
}

const answer = z.strictObject({
  schema: z.literal(2),
  refusal: z.optional(
    z.strictObject({
      code: z.string().check(z.maxLength(64)),
      detail: z.string().check(z.maxLength(limits.requestBytes)),
    }),
  ),
});

const isKnown = (code: string): code is ReasonCode => Object.hasOwn(catalogue, code);

const folderOf = (activationDirectory: string) => join(activationDirectory, 'vouchers');
const signatureFile = (folder: string, transaction: string) => join(folder, `${transaction}.sig`);

export async function writeVoucher(
  activationDirectory: string,
  transaction: string,
  voucher: Voucher,
): Promise<void> {
  const folder = folderOf(activationDirectory);
  await clearAnswers(folder);
  if ('signatures' in voucher) await writeDurably(signatureFile(folder, transaction), voucher.signatures);
  // Last, because it means that the rest is there.
  const refusal = 'refusal' in voucher ? { refusal: voucher.refusal } : {};
  await writeAnswer(folder, transaction, { schema: 2, ...refusal });
}

/** Undefined while there is none. @throws NixmakerError `state-corrupt` if it is damaged */
export async function readVoucher(
  activationDirectory: string,
  transaction: string,
): Promise<Voucher | undefined> {
  const folder = folderOf(activationDirectory);
  const found = await readAnswer(folder, transaction, answer);
  if (found === undefined) return undefined;
  const { refusal } = found;
  if (refusal === undefined) return { signatures: await readFile(signatureFile(folder, transaction)) };
  const { code, detail } = refusal;
  // A newer root may have reasons we don’t know.
  return {
    refusal: isKnown(code) ? { code, detail } : { code: 'nix-key-untrusted', detail: `${code}: ${detail}` },
  };
}
