/** Bundles of real size without their bytes: pieces are holes in the file, so nothing in them is what was signed but the layout. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { membersOf } from '../../src/bundle/members.ts';
import { readRelease } from '../../src/bundle/release.ts';
import { blockSize, encodeHeader, paddingOf, trailerSize } from '../../src/bundle/ustar.ts';
import { encodeNix32 } from '../../src/core/nix32.ts';
import { encodeContents, type Piece } from '../../src/core/release/contents-file.ts';
import { encodeManifest, parseManifest } from '../../src/core/release/manifest.ts';
import { encodeIndex, type IndexedPath } from '../../src/core/release/write-index.ts';
import type { StorePath } from '../../src/core/store-path.ts';
import { signManifest } from '../../src/signing/signature-file.ts';
import { manifestDigest } from '../../src/signing/verify.ts';
import { secret, signedFileOfBytes } from './bundles.ts';
import { manifestInput, pathOf } from './manifests.ts';
import { digits } from './releases.ts';

/** sha256 in Nix’s base 32 of so many zeros: what is read of a hole. */
export function digestOfHole(size: number): string {
  const hash = createHash('sha256');
  const zeros = Buffer.alloc(1024 * 1024);
  for (let done = 0; done < size; done += zeros.length) hash.update(zeros.subarray(0, size - done));
  return encodeNix32(hash.digest());
}

/**
 * Writes a signed bundle with a path for each size, and the system that refers to all of them.
 * @param sizes of their pieces, in bytes
 * @param digestOf of each piece: false ones, as long as nobody is to read them
 */
export async function writeSparseBundle(
  path: string,
  sizes: readonly number[],
  {
    sequence = 7,
    digestOf = (_, line) => digits(line + 1, 52),
  }: { sequence?: number; digestOf?: (size: number, line: number) => string } = {},
): Promise<void> {
  const system = pathOf('b', 'nixos-system-web-26.05') as StorePath;
  const large = sizes.map((narSize, i): IndexedPath => {
    const name = `/nix/store/${digits(i + 1, 32)}-large-${i}` as StorePath;
    const blocks = Math.ceil(narSize / 4096);
    return { path: name, narHash: digits(i + 1, 52), narSize, files: 1, blocks, references: [], ca: '' };
  });
  const references = large.map((info) => info.path);
  const root = {
    path: system,
    narHash: digits(0, 52),
    narSize: 512,
    files: 1,
    blocks: 1,
    references,
    ca: '',
  };
  const { text, totals } = encodeIndex([...large, root], system);
  const index = Buffer.from(text);
  const manifestBytes = Buffer.from(
    encodeManifest(manifestInput({ totals, index: signedFileOfBytes(index), sequence })),
  );
  const digest = manifestDigest(manifestBytes);
  const pieces = [...sizes, 512].map(
    (size, line): Piece => ({ kind: 'whole', line, size, digest: digestOf(size, line) }),
  );
  const contents = Buffer.from(encodeContents(digest, pieces));
  const manifest = parseManifest(manifestBytes.toString());
  const release = readRelease({ manifest, digest }, { index, contents, nixSignatures: Buffer.alloc(0) });

  const out = await open(path, 'w');
  let position = 0;
  const member = async (name: string, size: number, bytes?: Uint8Array) => {
    await out.write(encodeHeader(name, size), 0, blockSize, position);
    if (bytes !== undefined && size > 0) await out.write(bytes, 0, size, position + blockSize);
    position += blockSize + size + paddingOf(size);
  };
  const signatures = Buffer.from(signManifest(manifestBytes, secret));
  for (const [name, bytes] of [
    ['manifest.json', manifestBytes],
    ['manifest.sig', signatures],
    ['index', index],
    ['nix.sig', Buffer.alloc(0)],
    ['contents', contents],
  ] as const)
    await member(name, bytes.length, bytes);
  for (const m of membersOf(release)) await member(m.name, m.size, 'bytes' in m ? m.bytes : undefined);
  await out.truncate(position + trailerSize);
  await out.close();
}
