/** A receipt in a file, from a medium or kept: outside input either way. */
import { setImmediate } from 'node:timers/promises';
import { readSmall } from '../../bundle/file.ts';
import { readSmallNow } from '../../bundle/file-now.ts';
import { NixmakerError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import { type HostReceipt, hostReceiptParser, hostReceiptType } from '../../core/run/host-receipt.ts';
import { describeIssues } from '../../core/schema.ts';
import type { FolderNow } from '../../files/foreign-now.ts';
import { type Envelope, openEnvelope } from '../../signing/envelope.ts';
import { type PublicKey, parsePublicKey } from '../../signing/nix-key.ts';

/** A receipt whose signature is unchecked: bytes, about which nothing is known. */
export interface SealedReceipt {
  readonly text: string;
  readonly envelope: Envelope;
}

export const seal = (text: string): SealedReceipt => ({
  text,
  envelope: openEnvelope(text, hostReceiptType),
});

/** Never more than a receipt’s maximum size. @throws NixmakerError `receipt-malformed`, `io-error` */
export async function readSealed(file: string): Promise<SealedReceipt> {
  const bytes = await readSmall(file, limits.receiptBytes).catch(asReceipt);
  return seal(textOf(bytes, file));
}

/** Characters. */
const large = 256 * 1024;

/** The same for one of many in an open folder, as it is. @throws NixmakerError `receipt-malformed`, `io-error` */
export async function readReceiptText(folder: FolderNow, name: string): Promise<string> {
  const text = textIn(folder, name);
  // Threat: a machine whose receipts are as long as allowed. What the one before took is given back meanwhile.
  if (text.length > large) await setImmediate();
  return text;
}

function textIn(folder: FolderNow, name: string): string {
  let bytes: Buffer | undefined;
  try {
    bytes = readSmallNow(folder, name, { most: limits.receiptBytes, shown: name });
  } catch (error) {
    asReceipt(error);
  }
  return textOf(bytes, name);
}

function asReceipt(error: unknown): never {
  if (!(error instanceof NixmakerError) || error.code === 'io-error') throw error;
  throw new NixmakerError('receipt-malformed', error.detail, { cause: error });
}

function textOf(bytes: Buffer | undefined, file: string): string {
  if (bytes === undefined) throw new NixmakerError('io-error', `${file} is gone`);
  return bytes.toString('utf8');
}

/** The signature first, then the contents. @throws NixmakerError `receipt-malformed` */
export function openSigned({ envelope }: SealedReceipt, key: PublicKey): HostReceipt {
  if (!envelope.isSignedBy(key))
    throw new NixmakerError('receipt-malformed', `it is not signed by ${key.name}`);
  return parseReceipt(envelope.text);
}

/**
 * The key that a receipt claims as its host’s, if that key signed it; found without parsing what anyone could have written.
 * It says which installation is speaking, not that it can be trusted.
 */
export function signingKeyOf({ envelope }: SealedReceipt): { text: string; key: PublicKey } | undefined {
  // What comes before it is bounded: schema and host.
  const beginning = envelope.payload.subarray(0, 4096).toString('latin1');
  const text = /"hostKey":"([\w.+:/=-]{1,512})"/.exec(beginning)?.[1];
  if (text === undefined) return undefined;
  try {
    const key = parsePublicKey(text);
    return envelope.isSignedBy(key) ? { text, key } : undefined;
  } catch {
    return undefined; // not a key, or one with which anyone could sign
  }
}

/** Reads and parses; verifies nothing. @throws NixmakerError `receipt-malformed`, `io-error` */
export async function readUnverified(file: string): Promise<HostReceipt> {
  return parseReceipt((await readSealed(file)).envelope.text);
}

function parseReceipt(payload: string): HostReceipt {
  let json: unknown;
  try {
    json = JSON.parse(payload);
  } catch (cause) {
    throw new NixmakerError('receipt-malformed', 'its payload is not JSON', { cause });
  }
  const parsed = hostReceiptParser.safeParse(json);
  if (!parsed.success) throw new NixmakerError('receipt-malformed', describeIssues(parsed.error));
  return parsed.data;
}
