/** A receipt in a file, from a medium or kept: input from outside either way. */
import { readSmall } from '../../bundle/file.ts';
import { NixmakerError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import { type HostReceipt, hostReceiptParser, hostReceiptType } from '../../core/run/host-receipt.ts';
import { describeIssues } from '../../core/schema.ts';
import { openEnvelope } from '../../signing/envelope.ts';

/** Reads and parses; nothing is verified. @throws NixmakerError `receipt-malformed`, `io-error` */
export async function readReceipt(file: string): Promise<{ text: string; receipt: HostReceipt }> {
  const bytes = await readSmall(file, limits.receiptBytes);
  if (bytes === undefined) throw new NixmakerError('io-error', `${file} is gone`);
  const text = bytes.toString('utf8');
  return { text, receipt: parseReceipt(openEnvelope(text, hostReceiptType).payload) };
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
