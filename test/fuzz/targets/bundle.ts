/** Whole bundles, and the binary formats within and around them: NARs, zstd frames, deltas, age. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { constants, zstdCompressSync } from 'node:zlib';
import { decrypt } from '../../../src/bundle/encrypted.ts';
import { membersOf } from '../../../src/bundle/members.ts';
import { checkWholePiece } from '../../../src/bundle/nar-check.ts';
import { NarCounter } from '../../../src/bundle/nar-count.ts';
import { NarReader } from '../../../src/bundle/nar-reader.ts';
import { readRelease } from '../../../src/bundle/release.ts';
import { encodeContents, type Piece } from '../../../src/core/release/contents-file.ts';
import { encodeManifest, parseManifest } from '../../../src/core/release/manifest.ts';
import { encodeKeyBlock } from '../../../src/core/release/nix-signatures.ts';
import { signPath } from '../../../src/signing/path-signature.ts';
import { signManifest } from '../../../src/signing/signature-file.ts';
import { makeTrustSet, manifestDigest } from '../../../src/signing/verify.ts';
import { bytesOf, narOfFile, nix32Of, signedFileOfBytes, wholePiece } from '../../support/bundles.ts';
import { manifestInput } from '../../support/manifests.ts';
import { digits, indexedPath, indexOf, storePathOf } from '../../support/releases.ts';
import { memoryFile, openFromMemory } from '../memory-file.ts';
import { byteMutation } from '../mutations/bytes.ts';
import { tarMutation } from '../mutations/tar.ts';
import { archive } from './archives.ts';
import { firstKey, type Target } from './target.ts';

const nars = [
  narOfFile(Buffer.from('library '.repeat(40))),
  narOfFile(Buffer.from('text')),
  narOfFile(Buffer.from('system')),
];
const pathTo = (n: number, references: readonly number[], ca = '') => {
  const nar = nars[n - 1] as Buffer;
  return indexedPath(n, references, { narHash: nix32Of(nar), narSize: nar.length, ca });
};
const index = indexOf([pathTo(1, []), pathTo(2, [], `text:sha256:${digits(7, 52)}`), pathTo(3, [1, 2, 3])]);
const root = storePathOf(3);

/** A bundle of three paths, the same on every run. */
function goodBundle(): { readonly bytes: Buffer; readonly manifestBytes: Buffer } {
  const manifestBytes = Buffer.from(
    encodeManifest(
      manifestInput({
        toplevel: root,
        totals: index.totals,
        index: signedFileOfBytes(Buffer.from(index.bytes)),
      }),
    ),
  );
  const made = nars.map((nar, i) =>
    wholePiece(index.paths().indexOf(storePathOf(i + 1)), zstdCompressSync(nar)),
  );
  made.sort((a, b) => a.piece.line - b.piece.line);
  const digest = manifestDigest(manifestBytes);
  const contents = Buffer.from(
    encodeContents(
      digest,
      made.map((m) => m.piece),
    ),
  );
  const nixSignatures = Buffer.from(
    encodeKeyBlock(index, firstKey.name, (line) => signPath(index.info(line), firstKey)),
  );
  const release = readRelease(
    { manifest: parseManifest(manifestBytes.toString()), digest },
    { index: index.bytes, nixSignatures, contents },
  );
  const bytesOf = (piece: Piece) => made.find((m) => m.piece.digest === piece.digest)?.bytes as Buffer;
  const members = [
    ['manifest.json', manifestBytes],
    ['manifest.sig', Buffer.from(signManifest(manifestBytes, firstKey))],
    ['index', Buffer.from(index.bytes)],
    ['nix.sig', nixSignatures],
    ['contents', contents],
    ...[...membersOf(release)].map((m) => [m.name, 'piece' in m ? bytesOf(m.piece) : m.bytes] as const),
  ] as const;
  return { bytes: archive(members), manifestBytes };
}

const good = goodBundle();
const trust = makeTrustSet([firstKey.publicText], 1);

const signedBundles: Target = {
  name: 'signed-bundles',
  readers: [
    'bundle/layout.ts readHead',
    'bundle/layout.ts readAnnouncements',
    'bundle/layout.ts checkLayout',
    'bundle/open.ts authenticateBundle',
    'bundle/open.ts openAnnounced',
    'bundle/open.ts openBundle',
    'bundle/contents.ts checkAllPieces',
    'bundle/release.ts readRelease',
  ],
  seeds: () => [good.bytes],
  mutate: tarMutation,
  run: async (data) => {
    const { manifest, index: read } = await openFromMemory(data, trust);
    assert.equal(
      encodeManifest(manifest),
      good.manifestBytes.toString(),
      'a manifest that nobody has signed was taken',
    );
    assert.deepEqual(
      Buffer.from(read.bytes),
      Buffer.from(index.bytes),
      'an index that nobody has signed was taken',
    );
  },
};

/** As `inspect` opens them: nothing is verified, so more of it is met. */
const bundles: Target = {
  ...signedBundles,
  name: 'bundles',
  run: (data) => openFromMemory(data, undefined),
};

const narWords = [
  'nix-archive-1',
  '(',
  ')',
  'type',
  'regular',
  'executable',
  'contents',
  'symlink',
  'target',
  'directory',
  'entry',
  'name',
  'node',
];
const narString = (text: string) => {
  const bytes = Buffer.alloc(8 + Math.ceil(text.length / 8) * 8);
  bytes.writeUInt32LE(text.length);
  bytes.write(text, 8, 'latin1');
  return bytes;
};
const folderNar = Buffer.concat(
  'nix-archive-1 ( type directory entry ( name a node ( type symlink target b ) ) entry ( name c node ( type regular executable  contents hello ) ) )'
    .split(' ')
    .map(narString),
);

/** Whatever pieces it comes in, a NAR is the same NAR. */
const narCounts: Target = {
  name: 'nar-counts',
  readers: ['bundle/nar-count.ts NarCounter'],
  seeds: () => [...nars, folderNar],
  mutate: byteMutation([...narWords.map((w) => narString(w).toString('latin1')), '\0'.repeat(8), '..', '.']),
  run: (data) => {
    const said = [data.length, 1, 7, 8, 60].map((step) => saidOf(data, Math.max(1, step)));
    for (const other of said) assert.deepEqual(other, said[0], 'a NAR that depends on how it is cut');
    if (said[0] instanceof Error) throw said[0];
  },
};

function saidOf(data: Buffer, step: number): unknown {
  const counter = new NarCounter();
  for (let at = 0; at < data.length; at += step) counter.feed(data.subarray(at, at + step));
  try {
    return counter.end();
  } catch (error) {
    return error;
  }
}

const wanted = nars[0] as Buffer;
const info = { ...index.info(0), narHash: `sha256:${nix32Of(wanted)}`, narSize: wanted.length };
const base = nars[2] as Buffer;

const inMemory = (data: Buffer) => ({
  readInto: async (_: Piece, buffer: Buffer, at: number) => data.copy(buffer, 0, at, at + buffer.length),
});

async function readNar(piece: Piece, data: Buffer): Promise<void> {
  const read: Buffer[] = [];
  const nar = new NarReader(inMemory(data), () => bytesOf(base));
  for await (const chunk of nar.read(info, piece)) read.push(Buffer.from(chunk));
  assert.deepEqual(Buffer.concat(read), wanted, 'a NAR that nobody has signed was given');
}

const frames: Target = {
  name: 'frames',
  readers: ['bundle/nar-reader.ts NarReader', 'bundle/zstd.ts decompress', 'bundle/zstd.ts decompressAtOnce'],
  seeds: () => [
    zstdCompressSync(wanted),
    zstdCompressSync(wanted, {
      params: { [constants.ZSTD_c_checksumFlag]: 1, [constants.ZSTD_c_compressionLevel]: 19 },
    }),
    Buffer.concat([zstdCompressSync(wanted.subarray(0, 99)), zstdCompressSync(wanted.subarray(99))]),
  ],
  mutate: byteMutation(['\x28\xb5\x2f\xfd', '\x50\x2a\x4d\x18', '\0\0\0', '\x01\0\0']),
  run: async (data) => {
    const piece = { kind: 'whole', line: 0, size: data.length, digest: nix32Of(data) } as const;
    // By the desk, and by the agent: what one takes the other takes.
    const byDesk = await checkWholePiece(inMemory(data), piece, { ...info, narHash: nix32Of(wanted) }).catch(
      (error) => error,
    );
    const byAgent = await readNar(piece, data).catch((error) => error);
    assert.equal(byDesk instanceof Error, byAgent instanceof Error, 'desk and agent do not agree');
    if (byAgent instanceof Error) throw byAgent;
  },
};

const deltas: Target = {
  name: 'deltas',
  readers: ['bundle/delta.ts restoreNar'],
  seeds: () => [
    zstdCompressSync(wanted, { dictionary: base, params: { [constants.ZSTD_c_windowLog]: 20 } }),
    zstdCompressSync(wanted),
  ],
  mutate: byteMutation(['\x28\xb5\x2f\xfd', '\0\0\0', '\x01\0\0']),
  run: (data) => {
    const piece = { kind: 'delta', line: 0, size: data.length, digest: nix32Of(data) } as const;
    return readNar({ ...piece, base: root, baseNarHash: nix32Of(base) }, data);
  },
};

/** Made once with this key: encrypting gives other bytes each time, and a seed must be the same. */
const identity = 'AGE-SECRET-KEY-1YMKZ6C0E5QMCST3RU9VVFHS3AHWQRUY7HSJM3T7FJNV985TCXRSSW0PH7J';
const encryptedFile = join(import.meta.dirname, '../age/encrypted');
const plain = Buffer.alloc(66_000, 'what was encrypted ');

const encrypted: Target = {
  name: 'encrypted',
  readers: ['bundle/encrypted.ts decrypt'],
  seeds: () => [readFileSync(encryptedFile)],
  mutate: byteMutation(['age-encryption.org/v1\n', '-> X25519 ', '\n--- ', '-> scrypt ', '\n', '=']),
  run: async (data) => {
    const file = await decrypt(memoryFile(data), async () => [identity]);
    if (data.indexOf('age-encryption.org/v1\n') !== 0) return;
    const size = await file.size();
    const buffer = Buffer.alloc(Math.min(size, 200_000));
    for (const at of [65_000, 0]) {
      const got = await file.readInto(buffer, at);
      assert.deepEqual(
        buffer.subarray(0, got),
        plain.subarray(at, at + got),
        'what nobody has encrypted was read',
      );
    }
  },
};

export const bundleTargets: readonly Target[] = [
  signedBundles,
  bundles,
  narCounts,
  frames,
  deltas,
  encrypted,
];
