/**
 * Where everything in a bundle lies. The manifest announces names and sizes, the format fixes the rest, so the
 * whole layout is known before a header is read, and headers can only confirm it.
 */

import { encryptedMagic, isEncrypted } from '../core/bundle/encrypted.ts';
import type { Manifest, Member } from '../core/bundle/manifest.ts';
import { NixmakerError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { BundleFile } from './file.ts';
import { blockSize, encodeHeader, paddingOf, sizeFromHeader, trailerSize } from './ustar.ts';

export interface BundleHead {
  readonly manifestBytes: Buffer;
  readonly signatureBytes: Buffer;
  /** Byte position of the third member's header. */
  readonly membersAt: number;
}

/**
 * Reads the first two members: the only bytes looked at before a signature has been verified.
 * @throws NixmakerError `not-a-bundle`, `bundle-truncated`, `bundle-malformed`
 */
export async function readHead(file: BundleFile): Promise<BundleHead> {
  const start = Buffer.alloc(encryptedMagic.length);
  if ((await file.readInto(start, 0)) > 0 && isEncrypted(start))
    throw new NixmakerError('not-decryptable', 'it is encrypted; only the hosts it is for can read it');
  const manifest = await readAnnounced(file, 0, { name: 'manifest.json', most: limits.manifestBytes });
  if (manifest === undefined) throw new NixmakerError('not-a-bundle', 'it does not begin with a manifest');
  const signature = await readAnnounced(file, manifest.next, {
    name: 'manifest.sig',
    most: limits.signatureFileBytes,
  });
  if (signature === undefined)
    throw new NixmakerError('bundle-malformed', 'manifest.sig does not follow the manifest');
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
    throw new NixmakerError('bundle-malformed', `${name} has ${size} bytes, at most ${most} are allowed`);
  const bytes = await file.read(position + blockSize, size);
  const padding = await file.read(position + blockSize + size, paddingOf(size));
  refuseNonZero(padding, name);
  return { bytes, next: position + blockSize + size + paddingOf(size) };
}

export interface PlacedMember extends Member {
  /** Byte position of the member's contents. */
  readonly position: number;
}

export interface Layout {
  readonly members: readonly PlacedMember[];
  readonly totalSize: number;
}

/** Where the manifest's members lie, given where they begin. Pure arithmetic. */
export function placeMembers(manifest: Manifest, membersAt: number): Layout {
  let position = membersAt;
  const members = manifest.members.map((member): PlacedMember => {
    const placed = { ...member, position: position + blockSize };
    position += blockSize + member.size + paddingOf(member.size);
    return placed;
  });
  return { members, totalSize: position + trailerSize };
}

/**
 * Confirms that the file is the announced layout: each header and each padding, the two zero blocks, and the size.
 * Member contents are not read here. A file that is still growing is told by `bundle-truncated`.
 * @throws NixmakerError `bundle-malformed`, `bundle-truncated`, `bundle-trailing-data`
 */
export async function checkLayout(file: BundleFile, manifest: Manifest, head: BundleHead): Promise<Layout> {
  const layout = placeMembers(manifest, head.membersAt);
  const window = new ReadWindow(file);
  for (const member of layout.members) {
    const header = await window.read(member.position - blockSize, blockSize);
    if (!encodeHeader(member.name, member.size).equals(header)) {
      throw new NixmakerError(
        'bundle-malformed',
        `the header of ${member.name} is not what the manifest announces`,
      );
    }
    refuseNonZero(await window.read(member.position + member.size, paddingOf(member.size)), member.name);
  }
  refuseNonZero(await window.read(layout.totalSize - trailerSize, trailerSize), 'the last member');
  const size = await file.size();
  if (size > layout.totalSize) {
    throw new NixmakerError(
      'bundle-trailing-data',
      `it has ${size} bytes, the manifest announces ${layout.totalSize}`,
    );
  }
  return layout;
}

function refuseNonZero(bytes: Buffer, name: string): void {
  if (bytes.some((b) => b !== 0))
    throw new NixmakerError('bundle-malformed', `there are bytes between ${name} and what follows`);
}

/** Small reads at rising positions, from one larger read: thousands of narinfos lie close together. */
class ReadWindow {
  readonly #file: BundleFile;
  readonly #buffer = Buffer.alloc(64 * 1024);
  #start = 0;
  #length = 0;

  constructor(file: BundleFile) {
    this.#file = file;
  }

  async read(position: number, length: number): Promise<Buffer> {
    if (length === 0) return Buffer.alloc(0);
    if (position < this.#start || position + length > this.#start + this.#length) {
      this.#start = position;
      this.#length = await this.#file.readInto(this.#buffer, position);
      if (this.#length < length) {
        throw new NixmakerError('bundle-truncated', `it ends at byte ${position + this.#length}`);
      }
    }
    return Buffer.from(this.#buffer.subarray(position - this.#start, position - this.#start + length));
  }
}
