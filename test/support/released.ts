/** What a bundle says of itself, for tests that ask the store about it. */
import { createHash } from 'node:crypto';
import { withBundleFile } from '../../src/bundle/file.ts';
import { authenticateBundle, openBundle } from '../../src/bundle/open.ts';
import { readRelease } from '../../src/bundle/release.ts';
import { writeBundle } from '../../src/bundle/write.ts';
import { encodeContents, type Piece, pieceName } from '../../src/core/release/contents-file.ts';
import { encodeManifest, type Manifest } from '../../src/core/release/manifest.ts';
import type { PathInfo } from '../../src/core/release/path-info.ts';
import { readRelease as readBundleRelease, withoutVerifying } from '../../src/desk/keys/read-release.ts';

/** Nothing is verified. */
export const releaseOf = readBundleRelease;

export interface Released {
  readonly manifest: Manifest;
  readonly toplevel: string;
  readonly paths: readonly PathInfo[];
}

export async function released(path: string): Promise<Released> {
  const { manifest, index } = await releaseOf(path);
  const paths = Array.from({ length: index.length }, (_, line) => index.info(line));
  return { manifest, toplevel: manifest.toplevel, paths };
}

type Line = readonly [string, string, number, number, number, readonly number[], string];

/** The same bundle with another index, as a builder gone wrong would write it. @param sign gives `manifest.sig` */
export const rewritten = (
  from: string,
  to: string,
  { change, sign }: { change: (line: Line) => Line; sign: (manifest: Buffer) => Promise<Buffer> },
): Promise<void> =>
  withBundleFile(from, async (file) => {
    const authenticated = await authenticateBundle(file, withoutVerifying);
    const bundle = await openBundle(file, authenticated);
    const lines = Buffer.from(bundle.index.bytes).toString().trimEnd().split('\n');
    const index = Buffer.from(lines.map((l) => `${JSON.stringify(change(JSON.parse(l)))}\n`).join(''));
    const signedIndex = { size: index.length, sha256: createHash('sha256').update(index).digest('hex') };
    const manifestBytes = Buffer.from(encodeManifest({ ...bundle.manifest, index: signedIndex }));
    const authentic = withoutVerifying({ manifestBytes, signatureBytes: Buffer.alloc(0) });
    const contents = Buffer.from(encodeContents(authentic.digest, [...bundle.pieces.values()].flat()));
    const release = readRelease(authentic, { index, contents, nixSignatures: Buffer.alloc(0) });
    const sourceOf = (piece: Piece) => ({
      path: from,
      position: bundle.positions.get(pieceName(piece)) ?? 0,
    });
    await writeBundle(to, { manifestBytes, signatureBytes: await sign(manifestBytes), release, sourceOf });
  });
