/** A receipt in a file, from a medium or kept: input from outside either way. */
import { readSmall } from '../../bundle/file.ts';
import { NixmakerError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import { type HostReceipt, hostReceiptParser, hostReceiptType } from '../../core/run/host-receipt.ts';
import { describeIssues } from '../../core/schema.ts';
import { type Envelope, openEnvelope } from '../../signing/envelope.ts';
import { type PublicKey, parsePublicKey } from '../../signing/nix-key.ts';

const namePattern = /^(?:[0-9]{1,16}|run-[0-9a-f]{12})\.json$/;
export const isReceiptName = (name: string): boolean => namePattern.test(name);

/** A receipt whose signature nobody has asked for yet: bytes, of which nothing is known. */
export interface SealedReceipt {
  readonly text: string;
  readonly envelope: Envelope;
}

/** Never more than a receipt’s bytes are read. @throws NixmakerError `receipt-malformed`, `io-error` */
export async function readSealed(file: string): Promise<SealedReceipt> {
  const bytes = await readSmall(file, limits.receiptBytes).catch((error: unknown) => {
    if (!(error instanceof NixmakerError) || error.code === 'io-error') throw error;
    throw new NixmakerError('receipt-malformed', error.detail, { cause: error });
  });
  if (bytes === undefined) throw new NixmakerError('io-error', `${file} is gone`);
  const text = bytes.toString('utf8');
  return { text, envelope: openEnvelope(text, hostReceiptType) };
}

/** Signature first, then what it says. @throws NixmakerError `receipt-malformed` */
export function openSigned({ envelope }: SealedReceipt, key: PublicKey): HostReceipt {
  if (!envelope.isSignedBy(key))
    throw new NixmakerError('receipt-malformed', `it is not signed by ${key.name}`);
  return parseReceipt(envelope.payload);
}

/**
 * The key that a receipt says is its host’s, where that key has signed it; found without parsing what nobody may have signed.
 * It says which installation speaks, not that it is to be believed.
 */
export function signingKeyOf({ envelope }: SealedReceipt): { text: string; key: PublicKey } | undefined {
  // What precedes it is bounded: schema and host.
  const beginning = envelope.payload.subarray(0, 4096).toString('latin1');
  const text = /"hostKey":"([\w.+:/=-]{1,512})"/.exec(beginning)?.[1];
  if (text === undefined) return undefined;
  try {
    const key = parsePublicKey(text);
    return envelope.isSignedBy(key) ? { text, key } : undefined;
  } catch {
    return undefined; // no key at all, or one with which anybody could sign
  }
}

/** Reads and parses; nothing is verified. @throws NixmakerError `receipt-malformed`, `io-error` */
export async function readUnverified(file: string): Promise<HostReceipt> {
  return parseReceipt((await readSealed(file)).envelope.payload);
}

function parseReceipt(payload: Buffer): HostReceipt {
  let json: unknown;
  try {
    json = JSON.parse(payload.toString('utf8'));
  } catch (cause) {
    throw new NixmakerError('receipt-malformed', 'its payload is not JSON', { cause });
  }
  const parsed = hostReceiptParser.safeParse(json);
  if (!parsed.success) throw new NixmakerError('receipt-malformed', describeIssues(parsed.error));
  return parsed.data;
}
