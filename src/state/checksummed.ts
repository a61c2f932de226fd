/** Lines and files that know when they are damaged: `<16 hexadecimal digits of sha256> <JSON>`. */
import { createHash } from 'node:crypto';
import { visible } from '../core/errors.ts';

export function withChecksum(value: unknown): string {
  // A reader of lines also ends one at U+2028, which JSON leaves as it is: a file of such a name would have its run’s lines unreadable.
  const json = visible(JSON.stringify(value));
  return `${checksum(json)} ${json}\n`;
}

/** The value, or undefined where the line is torn, damaged or no line of ours. */
export function readChecksummed(line: string): unknown {
  const json = line.slice(17);
  if (line[16] !== ' ' || checksum(json) !== line.slice(0, 16)) return undefined;
  return JSON.parse(json);
}

function checksum(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
