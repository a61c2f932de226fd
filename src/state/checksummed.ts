/** Lines and files that know when they are damaged: `<16 hexadecimal digits of sha256> <JSON>`. */
import { createHash } from 'node:crypto';
import { visible } from '../core/errors.ts';

export function withChecksum(value: unknown): string {
  // A reader of lines also ends one at U+2028, which JSON leaves as it is: a file of such a name would have its run’s lines unreadable.
  const json = visible(JSON.stringify(value));
  return `${checksum(json)} ${json}\n`;
}

/**
 * The value, or undefined where the line is torn, damaged or no line of ours. Threat: a checksum is no signature. Whoever may
 * write to the file can put a right one before what is no JSON.
 */
export function readChecksummed(line: string | Buffer): unknown {
  const bytes = typeof line === 'string' ? Buffer.from(line) : line;
  const json = bytes.subarray(17);
  if (bytes[16] !== 0x20 || checksum(json) !== bytes.toString('latin1', 0, 16)) return undefined;
  try {
    return JSON.parse(json.toString('utf8'));
  } catch {
    return undefined;
  }
}

function checksum(text: string | Buffer): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
