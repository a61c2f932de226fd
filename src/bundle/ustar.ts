/**
 * The one ustar header (POSIX pax(1), "ustar Interchange Format") that a member can have: mode 0444, uid, gid and
 * mtime 0, no owner names, no prefix; sizes from 8 GiB up in base 256 (GNU tar manual, “Large or Negative Values”). There is
 * exactly one, so reading a bundle means comparing bytes: PAX headers, GNU extensions, links, devices and the like are all
 * simply "not these 512 bytes".
 */
import { Header } from 'tar/header';
import { NixmakerError } from '../core/errors.ts';

export const blockSize = 512;
/** Two zero blocks end an archive. */
export const trailerSize = 2 * blockSize;

/** Eleven octal digits; up to ten, a space follows. */
const largestOctal = 8 ** 11 - 1;
const tenDigits = 8 ** 10;
/** The name’s field, with a zero after it: the library decides about longer ones. */
const mostName = 99;

function encodePlain(path: string, size: number): Buffer {
  const block = Buffer.alloc(blockSize);
  const [mode, mtime] = [0o444, new Date(0)];
  const header = new Header({ path, mode, uid: 0, gid: 0, size, mtime, type: 'File', uname: '', gname: '' });
  // It reports anything that did not fit the plain form; a size beyond eleven digits isn’t meant to.
  if (header.encode(block, 0) !== size > largestOctal)
    throw new NixmakerError('bundle-too-large', `${path} is too long for a ustar header`);
  return block;
}

/** Without name and size. The sum is that of its bytes apart from those, with spaces for the checksum. */
const frame = encodePlain('', 0);
const fields = { size: 124, afterSize: 136, checksum: 148, afterChecksum: 156 };
const frameSum =
  sumOf(frame, 0, fields.size) +
  sumOf(frame, fields.afterSize, fields.checksum) +
  8 * 0x20 +
  sumOf(frame, fields.afterChecksum, blockSize);

function sumOf(block: Buffer, from: number, to: number): number {
  let sum = 0;
  for (let at = from; at < to; at++) sum += block[at] as number;
  return sum;
}

/** A bundle has thousands: only what differs between them is written. @throws NixmakerError `bundle-too-large` */
export function encodeHeader(name: string, size: number): Buffer {
  // Anything but the usual is left to the library.
  if (size > largestOctal || name.length > mostName || !/^[\x21-\x7e]+$/.test(name))
    return encodePlain(name, size);
  const block = Buffer.from(frame);
  const digits = size < tenDigits ? `${size.toString(8).padStart(10, '0')} ` : size.toString(8);
  block.write(name, 0, 'latin1');
  block.write(digits, fields.size, 'latin1');
  const sum = frameSum + sumOf(block, 0, name.length) + sumOf(block, fields.size, fields.afterSize);
  block.write(sum.toString(8).padStart(6, '0'), fields.checksum, 'latin1');
  return block;
}

/**
 * The size of the current member if the block is exactly our header for `name`; undefined otherwise.
 * Needed for members whose sizes have not been announced yet.
 */
export function sizeFromHeader(block: Buffer, name: string): number | undefined {
  const octal = /^([0-7]{10,11}) ?\0$/.exec(block.toString('latin1', 124, 136))?.[1];
  if (octal === undefined) return undefined;
  const size = Number.parseInt(octal, 8);
  return encodeHeader(name, size).equals(block) ? size : undefined;
}

/** Bytes of padding after a member of `size` bytes. */
export function paddingOf(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize;
}
