/** Real bundles without Nix: three paths, each a file, with real NARs, compressed, indexed and signed. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import type { PieceReader } from '../../src/bundle/contents.ts';
import type { Bytes } from '../../src/bundle/delta.ts';
import { openBundleFile } from '../../src/bundle/file.ts';
import { authenticateBundle, type OpenedTar, openBundle } from '../../src/bundle/open.ts';
import { type Release, readRelease } from '../../src/bundle/release.ts';
import { writeBundle } from '../../src/bundle/write.ts';
import { encodeNix32 } from '../../src/core/nix32.ts';
import {
  type DeltaPiece,
  encodeContents,
  type Piece,
  pieceName,
  type WholePiece,
} from '../../src/core/release/contents-file.ts';
import { ReleaseIndex } from '../../src/core/release/index-file.ts';
import { encodeManifest, type ManifestInput, parseManifest } from '../../src/core/release/manifest.ts';
import { encodeKeyBlock } from '../../src/core/release/nix-signatures.ts';
import { encodeIndex, type IndexedPath } from '../../src/core/release/write-index.ts';
import { parseStorePath, type StorePath } from '../../src/core/store-path.ts';
import { generateKeyPair, parseSecretKey } from '../../src/signing/nix-key.ts';
import { signPath } from '../../src/signing/path-signature.ts';
import { signManifest } from '../../src/signing/signature-file.ts';
import { makeTrustSet, manifestDigest, verifyManifest } from '../../src/signing/verify.ts';
import { manifestInput, pathOf } from './manifests.ts';
import { digits } from './releases.ts';

/** A folder that goes when the test ends. */
export async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'nixmaker-test-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export const pair = generateKeyPair('test-1');
export const secret = parseSecretKey(pair.secret);
const trust = makeTrustSet([pair.public], 1);

export const nix32Of = (bytes: Buffer): string => encodeNix32(createHash('sha256').update(bytes).digest());

/** As a manifest names it. */
export const signedFileOfBytes = (bytes: Buffer) => ({
  size: bytes.length,
  sha256: createHash('sha256').update(bytes).digest('hex'),
});

/** A string in a NAR: its length, its bytes, zeros up to a multiple of eight. */
function narString(bytes: Buffer): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bytes.length));
  return Buffer.concat([length, bytes, Buffer.alloc((8 - (bytes.length % 8)) % 8)]);
}

/** The NAR of a path that is one file: 112 bytes, and the file’s up to a multiple of eight. */
export const narOfFile = (contents: Buffer): Buffer =>
  Buffer.concat(
    [
      ...['nix-archive-1', '(', 'type', 'regular', 'contents'].map((t) => Buffer.from(t)),
      contents,
      Buffer.from(')'),
    ].map(narString),
  );

/** Something that a line can be had from. */
export interface MadePiece {
  readonly piece: Piece;
  readonly bytes: Buffer;
}

export const wholePiece = (line: number, bytes: Buffer): MadePiece & { readonly piece: WholePiece } => ({
  piece: { kind: 'whole', line, size: bytes.length, digest: nix32Of(bytes) },
  bytes,
});

export const deltaPiece = (
  line: number,
  bytes: Buffer,
  base: Pick<DeltaPiece, 'base' | 'baseNarHash'>,
): MadePiece & { readonly piece: DeltaPiece } => ({
  piece: { kind: 'delta', line, size: bytes.length, digest: nix32Of(bytes), ...base },
  bytes,
});

export interface BundlePlan {
  /** Bytes of the two files that are named after their inputs: a library, and the system. */
  readonly fileSizes?: readonly [number, number];
  readonly manifest?: Partial<ManifestInput>;
  /** Instead of each line’s NAR, compressed. */
  readonly pieces?: (nars: readonly Buffer[]) => readonly MadePiece[];
  /** Last chance to have the index say something else. */
  readonly indexed?: (paths: readonly IndexedPath[]) => readonly IndexedPath[];
}

export interface TestRelease {
  readonly manifestBytes: Buffer;
  readonly signatureBytes: Buffer;
  readonly digest: string;
  readonly release: Release;
  /** By line. */
  readonly nars: readonly Buffer[];
  /** By the name of the member. */
  readonly pieces: ReadonlyMap<string, Buffer>;
}

/** Three lines: a library, a text that is named after its contents, and the system, which refers to both and itself. */
export function makeTestRelease(plan: BundlePlan = {}): TestRelease {
  const [library, system] = plan.fileSizes ?? [3000, 700];
  const files: readonly [string, number, readonly string[], string][] = [
    [pathOf('c', 'library'), library, [], ''],
    [pathOf('d', 'text'), 50, [], `text:sha256:${digits(7, 52)}`],
    [pathOf('b', 'nixos-system-web-26.05'), system, ['b', 'c', 'd'], ''],
  ];
  const named = new Map(files.map(([path]) => [path.charAt('/nix/store/'.length), path as StorePath]));
  const nars = files.map(([, size]) => narOfFile(randomBytes(size)));
  const paths = files.map(([path, size, references, ca], i): IndexedPath => {
    const nar = nars[i] as Buffer;
    return {
      path: parseStorePath(path) as StorePath,
      narHash: nix32Of(nar),
      narSize: nar.length,
      files: 1,
      blocks: Math.ceil(size / 4096),
      references: references.map((r) => named.get(r) as StorePath),
      ca,
    };
  });
  return makeRelease({ ...plan, paths: plan.indexed?.(paths) ?? paths, nars });
}

function makeRelease({
  paths,
  nars,
  ...plan
}: BundlePlan & { readonly paths: readonly IndexedPath[]; readonly nars: readonly Buffer[] }): TestRelease {
  const root = paths.at(-1)?.path as StorePath;
  const { text, totals } = encodeIndex(paths, root);
  const bytes = Buffer.from(text);
  const manifestBytes = Buffer.from(
    encodeManifest(manifestInput({ totals, index: signedFileOfBytes(bytes), ...plan.manifest })),
  );
  const index = ReleaseIndex.parse(bytes, root);
  const made = plan.pieces?.(nars) ?? nars.map((nar, line) => wholePiece(line, zstdCompressSync(nar)));
  const digest = manifestDigest(manifestBytes);
  const contents = encodeContents(
    digest,
    made.map((m) => m.piece),
  );
  const nixSignatures = encodeKeyBlock(index, secret.name, (line) => signPath(index.info(line), secret));
  return {
    manifestBytes,
    signatureBytes: Buffer.from(signManifest(manifestBytes, secret)),
    digest,
    release: readRelease(
      { manifest: parseManifest(manifestBytes.toString()), digest },
      { index: bytes, nixSignatures: Buffer.from(nixSignatures), contents: Buffer.from(contents) },
    ),
    nars,
    pieces: new Map(made.map((m) => [pieceName(m.piece), m.bytes])),
  };
}

/** Writes it, signed, with nixmaker’s own writer. */
export async function writeTestBundle(path: string, plan: BundlePlan = {}): Promise<TestRelease> {
  const made = makeTestRelease(plan);
  const { manifestBytes, signatureBytes, release, pieces } = made;
  const positions = new Map<string, number>();
  let position = 0;
  for (const [name, bytes] of pieces) {
    positions.set(name, position);
    position += bytes.length;
  }
  const source = `${path}.pieces`;
  await writeFile(source, Buffer.concat([...pieces.values()]));
  const sourceOf = (piece: Piece) => ({ path: source, position: positions.get(pieceName(piece)) ?? 0 });
  await writeBundle(path, { manifestBytes, signatureBytes, release, sourceOf });
  await rm(source);
  return made;
}

/** Pieces that are in memory. */
export const piecesInMemory = (pieces: ReadonlyMap<string, Buffer>): PieceReader => ({
  readInto: async (piece, buffer, position) =>
    pieces.get(pieceName(piece))?.copy(buffer, 0, position, position + buffer.length) ?? 0,
});

/** Opens a bundle the way the agent does, up to its small members. */
export async function openTestBundle(path: string): Promise<OpenedTar> {
  const file = await openBundleFile(path);
  try {
    const authenticated = await authenticateBundle(file, (head) =>
      verifyManifest(head.manifestBytes, head.signatureBytes, trust),
    );
    return await openBundle(file, authenticated);
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** In one chunk of its own, as whoever reads it may use it up. */
export const bytesOf = (bytes: Buffer): Bytes => ({
  size: bytes.length,
  chunks: (async function* () {
    yield Buffer.from(bytes);
  })(),
});
