/**
 * The part of the Nix daemon protocol that an import needs: 64-bit little-endian numbers, and strings padded with zeros to a multiple of
 * eight (Nix src/libstore/worker-protocol.cc, src/libutil/serialise.cc). We speak version 1.35, that of Nix 2.15 and Lix; newer daemons
 * answer older clients.
 */

import type { StoredPath } from '../core/bundle/store-difference.ts';
import { NixmakerError } from '../core/errors.ts';
import { decodeNix32, encodeNix32 } from '../core/nix32.ts';
import { narDigest, type PathInfo } from '../core/release/path-info.ts';
import type { StorePath } from '../core/store-path.ts';

// Nix src/libstore/include/nix/store/worker-protocol.hh
export const clientMagic = 0x6e697863;
export const daemonMagic = 0x6478696f;
export const protocolVersion = (1 << 8) | 35;
export const operations = {
  addTempRoot: 11,
  addIndirectRoot: 12,
  collectGarbage: 20,
  queryAllValidPaths: 23,
  queryPathInfo: 26,
  queryValidPaths: 31,
  addSignatures: 37,
  addMultipleToStore: 44,
} as const;
export const messages = {
  next: 0x6f6c6d67,
  write: 0x64617416,
  last: 0x616c7473,
  error: 0x63787470,
  startActivity: 0x53545254,
  stopActivity: 0x53544f50,
  result: 0x52534c54,
} as const;

export function encodeNumber(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

export function encodeString(text: string): Buffer {
  const bytes = Buffer.from(text);
  const padding = (8 - (bytes.length % 8)) % 8;
  return Buffer.concat([encodeNumber(bytes.length), bytes, Buffer.alloc(padding)]);
}

export function encodeStrings(texts: readonly string[]): Buffer {
  return Buffer.concat([encodeNumber(texts.length), ...texts.map(encodeString)]);
}

export interface SignedPathInfo extends Pick<PathInfo, 'path' | 'narHash' | 'narSize' | 'references' | 'ca'> {
  readonly signatures: readonly string[];
}

// The same in strings of one character per byte, for what is ASCII: there are ten strings per path, and a buffer for each takes longer.
const longNumber = (value: number) => encodeNumber(value).toString('latin1');
const shortNumbers = Array.from({ length: 256 }, (_, value) => longNumber(value));
const numberText = (value: number) => shortNumbers[value] ?? longNumber(value);
const zeros = Array.from({ length: 8 }, (_, count) => '\0'.repeat(count));
const textOf = (text: string) => numberText(text.length) + text + (zeros[(8 - (text.length % 8)) % 8] ?? '');
const textsOf = (texts: readonly string[]) => numberText(texts.length) + texts.map(textOf).join('');

/** As `addMultipleToStore` expects it, which stays at version 1.16 whatever was negotiated (Nix src/libstore/store-api.cc). */
export function encodePathInfo(info: SignedPathInfo): Buffer {
  const digest = decodeNix32(narDigest(info), 32);
  if (digest === undefined)
    throw new NixmakerError('manifest-malformed', `${info.narHash} is not a NAR hash`);
  const text = [
    textOf(info.path),
    // No deriver: it depends on where a path came from.
    textOf(''),
    textOf(Buffer.from(digest).toString('hex')),
    textsOf(info.references),
    // Registration time: the store records its own.
    numberText(0),
    numberText(info.narSize),
    // Not “ultimate”: it was not built here.
    numberText(0),
    textsOf(info.signatures),
    textOf(info.ca ?? ''),
  ].join('');
  return Buffer.from(text, 'latin1');
}

/** What Nix’s database holds about a valid path, with those of its signatures that were asked for, at most `mostSignatures`. */
export interface ValidInfo extends StoredPath {
  readonly signatures: readonly string[];
  /** As Nix writes it; undefined if the path is named after its inputs. */
  readonly ca?: string;
}

/** Which of a path’s signatures are of interest: anybody may have added others, in any number and of any length. */
export type SignatureFilter = (path: StorePath, stored: StoredPath) => (signature: string) => boolean;

/** Threat: memory. A caller that gets this many knows that there may be more. */
export const mostSignatures = 1000;

/**
 * A key’s name and 64 bytes in base 64 have at most about 250 characters. Threat: any user may add signatures to a path, of any length and
 * in any number.
 */
const longestSignature = 1024;

/** An answer to `queryPathInfo`, version 1.17 and newer (Nix src/libstore/worker-protocol.cc, UnkeyedValidPathInfo). */
export async function readValidInfo(
  source: ByteSource,
  isWanted: (stored: StoredPath) => (signature: string) => boolean,
): Promise<ValidInfo | undefined> {
  if ((await readNumber(source)) === 0) return undefined;
  await readString(source); // the deriver
  const digest = Buffer.from(await readString(source), 'hex');
  const references = await readStrings(source);
  await readNumber(source); // registered at
  const narSize = await readNumber(source);
  await readNumber(source); // whether it was built here
  const stored = { narHash: `sha256:${encodeNix32(digest)}`, narSize, references: references.sort() };
  const signatures = await readWanted(source, isWanted(stored));
  const ca = await readString(source);
  return { ...stored, signatures, ...(ca === '' ? {} : { ca }) };
}

/** Returns exactly as many bytes as asked for. @throws if the other end has hung up */
export interface ByteSource {
  take(bytes: number): Promise<Buffer>;
}

/** More than any message a daemon sends; a larger length is not the protocol. */
const longestString = 16 * 1024 * 1024;

export async function readNumber(source: ByteSource): Promise<number> {
  const bytes = await source.take(8);
  // Activities are numbered by process and time and may exceed 2^53; they are never used.
  return bytes.readUInt32LE(0) + bytes.readUInt32LE(4) * 2 ** 32;
}

export async function readString(source: ByteSource): Promise<string> {
  const length = await readNumber(source);
  if (length > longestString) throw new NixmakerError('nix-failed', 'unexpected answer from the Nix daemon');
  const bytes = await source.take(length + ((8 - (length % 8)) % 8));
  return bytes.toString('utf8', 0, length);
}

/** Signatures that are wanted; all others are skipped, a little at a time. */
async function readWanted(source: ByteSource, isWanted: (text: string) => boolean): Promise<string[]> {
  const texts: string[] = [];
  for (let left = await readNumber(source); left > 0; left--) {
    const length = await readNumber(source);
    const padded = length + ((8 - (length % 8)) % 8);
    if (length <= longestSignature) {
      const text = (await source.take(padded)).toString('utf8', 0, length);
      if (texts.length < mostSignatures && isWanted(text)) texts.push(text);
    } else for (let rest = padded; rest > 0; rest -= skipBytes) await source.take(Math.min(rest, skipBytes));
  }
  return texts;
}

const skipBytes = 64 * 1024;

export async function readStrings(source: ByteSource): Promise<string[]> {
  const texts: string[] = [];
  for (let left = await readNumber(source); left > 0; left--) texts.push(await readString(source));
  return texts;
}

async function skipFields(source: ByteSource): Promise<void> {
  for (let left = await readNumber(source); left > 0; left--) {
    const isText = (await readNumber(source)) === 1;
    await (isText ? readString(source) : readNumber(source));
  }
}

/**
 * Reads what the daemon reports while it works, until it has done what it was asked.
 * @returns undefined, or the error it ended with, in Nix’s words
 */
export async function readUntilDone(source: ByteSource): Promise<string | undefined> {
  for (;;) {
    const message = await readNumber(source);
    switch (message) {
      case messages.last:
        return undefined;
      case messages.error:
        return readError(source);
      case messages.next:
      case messages.write:
        await readString(source);
        break;
      case messages.startActivity:
        for (let i = 0; i < 3; i++) await readNumber(source);
        await readString(source);
        await skipFields(source);
        await readNumber(source);
        break;
      case messages.stopActivity:
        await readNumber(source);
        break;
      case messages.result:
        for (let i = 0; i < 2; i++) await readNumber(source);
        await skipFields(source);
        break;
      default:
        throw new NixmakerError('nix-failed', 'unexpected answer from the Nix daemon');
    }
  }
}

async function readError(source: ByteSource): Promise<string> {
  await readString(source); // "Error"
  await readNumber(source); // level
  await readString(source); // a name that is no longer used
  // The traces that follow are for Nix developers; the connection ends here.
  return readString(source);
}
