/** The same release in another bundle: other pieces, other signatures, one manifest. */
import { rm, writeFile } from 'node:fs/promises';
import { readRelease } from '../../src/bundle/release.ts';
import { writeBundle } from '../../src/bundle/write.ts';
import { encodeContents, type pieceName } from '../../src/core/release/contents-file.ts';
import type { MadePiece, TestRelease } from './bundles.ts';

export interface OtherContents {
  readonly pieces: readonly MadePiece[];
  /** Of the first bundle unless told otherwise. */
  readonly signatureBytes?: Buffer;
  readonly nixSignatures?: Buffer;
}

export async function writeOtherContents(
  path: string,
  { release, digest, manifestBytes, ...made }: TestRelease,
  {
    pieces,
    signatureBytes = made.signatureBytes,
    nixSignatures = release.nixSignatures.bytes,
  }: OtherContents,
): Promise<void> {
  const contents = encodeContents(
    digest,
    pieces.map((p) => p.piece),
  );
  const other = readRelease(
    { manifest: release.manifest, digest },
    { index: release.index.bytes, nixSignatures, contents: Buffer.from(contents) },
  );
  for (const { piece, bytes } of pieces) await writeFile(`${path}.${piece.digest}`, bytes);
  const sourceOf = (piece: Parameters<typeof pieceName>[0]) => ({ path: `${path}.${piece.digest}` });
  await writeBundle(path, { manifestBytes, signatureBytes, release: other, sourceOf });
  for (const { piece } of pieces) await rm(`${path}.${piece.digest}`);
}
