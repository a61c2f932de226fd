/** Lines and files that know when they are damaged: `<16 hexadecimal digits of sha256> <JSON>`. */
import { createHash } from 'node:crypto';

export function withChecksum(value: unknown): string {
  const json = JSON.stringify(value);
  return `${checksum(json)} ${json}\n`;
}

/** The value, or undefined where the line is torn, damaged or no line of ours. */
export function readChecksummed(line: string): unknown {
  const json = line.slice(17);
  if (line[16] !== ' ' || checksum(json) !== line.slice(0, 16)) return undefined;
  try {
    return JSON.parse(json);
  } catch {
    // Eight bytes of a digest say that it is ours, and it is none of ours: whoever may write here has written it.
    return undefined;
  }
}

function checksum(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
