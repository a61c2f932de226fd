/** Lines and files that reveal when they are damaged: `<16 hexadecimal digits of sha256> <JSON>`. */
import { createHash } from 'node:crypto';
import { visible } from '../core/errors.ts';

export function withChecksum(value: unknown): string {
  // A line reader also ends a line at U+2028, which JSON leaves unescaped: a file with such a name would make its run’s lines unreadable.
  const json = visible(JSON.stringify(value));
  return `${checksum(json)} ${json}\n`;
}

/**
 * The value, or undefined if the line is torn, damaged or not ours. Threat: a checksum is not a signature. Anybody who may write to the
 * file can put a correct one before something that is not JSON.
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
