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

/** Eleven octal digits. */
const largestOctal = 8 ** 11 - 1;

export function encodeHeader(name: string, size: number): Buffer {
  const block = Buffer.alloc(blockSize);
  const header = new Header({
    path: name,
    mode: 0o444,
    uid: 0,
    gid: 0,
    size,
    mtime: new Date(0),
    type: 'File',
    uname: '',
    gname: '',
  });
  // It reports anything that did not fit the plain form; a size beyond eleven digits isn’t meant to.
  if (header.encode(block, 0) !== size > largestOctal)
    throw new NixmakerError('bundle-too-large', `${name} is too long for a ustar header`);
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
