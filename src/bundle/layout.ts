/**
 * Where everything in a bundle is. Its first five members announce the names and sizes of all others, so the whole layout is known
 * before another header is read, and headers can only confirm it.
 */

import { encryptedMagic, isEncrypted } from '../core/bundle/encrypted.ts';
import { NixmakerError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import { mostContentsBytes } from '../core/release/contents-file.ts';
import type { Manifest } from '../core/release/manifest.ts';
import { NixSignatures } from '../core/release/nix-signatures.ts';
import type { BundleFile } from './file.ts';
import { membersOf } from './members.ts';
import { ReadWindow } from './read-window.ts';
import { type Release, readIndex, withUnsigned } from './release.ts';
import { blockSize, encodeHeader, paddingOf, sizeFromHeader, trailerSize } from './ustar.ts';

export interface BundleHead {
  readonly manifestBytes: Buffer;
  readonly signatureBytes: Buffer;
  /** Byte position of the header of `index`. */
  readonly membersAt: number;
}

/**
 * Reads the first two members: the only bytes examined before a signature has been verified.
 * @throws NixmakerError `not-a-bundle`, `bundle-truncated`, `bundle-malformed`
 */
export async function readHead(file: BundleFile): Promise<BundleHead> {
  const start = Buffer.alloc(encryptedMagic.length);
  await file.readInto(start, 0);
  if (isEncrypted(start))
    throw new NixmakerError('not-decryptable', 'it is encrypted; only its hosts can read it');
  const manifest = await readAnnounced(file, 0, { name: 'manifest.json', most: limits.manifestBytes });
  if (manifest === undefined) throw new NixmakerError('not-a-bundle', 'it does not begin with a manifest');
  const signature = await readAnnounced(file, manifest.next, {
    name: 'manifest.sig',
    most: limits.signatureFileBytes,
  });
  if (signature === undefined)
    throw new NixmakerError('bundle-malformed', 'the manifest is not followed by manifest.sig');
  return { manifestBytes: manifest.bytes, signatureBytes: signature.bytes, membersAt: signature.next };
}

async function readAnnounced(
  file: BundleFile,
  position: number,
  { name, most }: { name: string; most: number },
): Promise<{ bytes: Buffer; next: number } | undefined> {
  const size = sizeFromHeader(await file.read(position, blockSize), name);
  if (size === undefined) return undefined;
  if (size > most)
    throw new NixmakerError('bundle-malformed', `${name} has ${size} bytes; the limit is ${most}`);
  const bytes = await file.read(position + blockSize, size);
  const padding = await file.read(position + blockSize + size, paddingOf(size));
  refuseNonZero(padding, name);
  return { bytes, next: position + blockSize + size + paddingOf(size) };
}

/** The head, authenticated. */
export interface Authentic {
  readonly manifest: Manifest;
  /** sha256 of the manifest’s bytes, hexadecimal. */
  readonly digest: string;
}

export interface Announced {
  readonly release: Release;
  /** Byte position of the first computed header. */
  readonly membersAt: number;
}

/**
 * Reads what announces the rest: the index, by its signed size and digest, Nix’s signatures, and contents.
 * @throws NixmakerError `bundle-truncated`, `bundle-altered`, `bundle-malformed`, `manifest-malformed`
 */
export async function readAnnouncements(
  file: BundleFile,
  { authentic, head }: { readonly authentic: Authentic; readonly head: BundleHead },
): Promise<Announced> {
  const { manifest, digest } = authentic;
  const signed = manifest.index.size;
  const first = await readAnnounced(file, head.membersAt, { name: 'index', most: signed });
  if (first === undefined || first.bytes.length !== signed)
    throw new NixmakerError('bundle-malformed', 'the signatures are not followed by the index');
  const index = readIndex(first.bytes, manifest);
  // These two may be by anyone who carried the bundle: no more of them is read than what was signed can need.
  const signatures = await readNext(file, first.next, { name: 'nix.sig', most: NixSignatures.most(index) });
  const contents = await readNext(file, signatures.next, {
    name: 'contents',
    most: mostContentsBytes(index),
  });
  const unsigned = { nixSignatures: signatures.bytes, contents: contents.bytes };
  return { release: withUnsigned({ manifest, digest, index }, unsigned), membersAt: contents.next };
}

async function readNext(
  file: BundleFile,
  position: number,
  wanted: { readonly name: string; readonly most: number },
): Promise<{ bytes: Buffer; next: number }> {
  const found = await readAnnounced(file, position, wanted);
  if (found !== undefined) return found;
  throw new NixmakerError('bundle-malformed', `${wanted.name} is not where it belongs`);
}

export interface Layout {
  /** Position of each piece’s first byte, by member name. */
  readonly positions: ReadonlyMap<string, number>;
  readonly totalSize: number;
}

/** Bytes of the whole bundle. Pure arithmetic. */
export function totalSizeOf({ release, membersAt }: Announced): number {
  let position = membersAt;
  for (const { size } of membersOf(release)) position += blockSize + size + paddingOf(size);
  return position + trailerSize;
}

/** Read at a time: narinfos are close together, headers of pieces are not. */
const headersBytes = 64 * 1024;

/**
 * Confirms that the file is as announced: each header, all padding, each small member, the two zero blocks, and the size. Pieces
 * are not read here. A file that is still growing shows as `bundle-truncated`.
 * @throws NixmakerError `bundle-malformed`, `bundle-truncated`, `bundle-trailing-data`
 */
export async function checkLayout(file: BundleFile, { release, membersAt }: Announced): Promise<Layout> {
  const positions = new Map<string, number>();
  const window = new ReadWindow(file, headersBytes);
  let position = membersAt;
  for (const member of membersOf(release)) {
    const { name, size } = member;
    const header = await window.read(position, blockSize);
    if (!encodeHeader(name, size).equals(header))
      throw new NixmakerError('bundle-malformed', `the header of ${name} does not match the manifest`);
    position += blockSize;
    if ('piece' in member) positions.set(name, position);
    else if (!member.bytes.equals(await window.read(position, size)))
      throw new NixmakerError('bundle-malformed', `${name} does not match the manifest`);
    refuseNonZero(await window.read(position + size, paddingOf(size)), name);
    position += size + paddingOf(size);
  }
  refuseNonZero(await window.read(position, trailerSize), 'the last member');
  const totalSize = position + trailerSize;
  const size = await file.size();
  if (size > totalSize)
    throw new NixmakerError(
      'bundle-trailing-data',
      `the file has ${size} bytes; the manifest lists ${totalSize}`,
    );
  return { positions, totalSize };
}

function refuseNonZero(bytes: Buffer, name: string): void {
  if (bytes.some((b) => b !== 0))
    throw new NixmakerError('bundle-malformed', `there are stray bytes after ${name}`);
}
