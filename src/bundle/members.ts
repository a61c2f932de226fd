/**
 * A bundle’s members after `contents`, computed: their names, sizes, order and texts follow from what was read before, so
 * reading means comparing.
 */
import { plainNarinfo, renderNarinfo } from '../core/bundle/narinfo.ts';
import { type Piece, pieceName } from '../core/release/contents-file.ts';
import { metaText } from '../core/release/manifest.ts';
import { hashPart } from '../core/store-path.ts';
import type { Release } from './release.ts';

export const cacheInfo = 'StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n';

export type ComputedMember =
  | { readonly name: string; readonly size: number; readonly bytes: Buffer }
  | { readonly name: string; readonly size: number; readonly piece: Piece };

/**
 * meta, nix-cache-info, narinfos of paths carried whole, then each piece in order of first use. Generated one at a
 * time: there may be two hundred thousand.
 */
export function* membersOf(release: Release): Generator<ComputedMember, void, void> {
  yield textMember('meta', metaText(release.manifest));
  yield textMember('nix-cache-info', cacheInfo);
  for (const [line, pieces] of release.pieces) {
    const whole = pieces.find((p) => p.kind === 'whole');
    if (whole !== undefined) yield textMember(...narinfoOf(release, line, whole));
  }
  for (const piece of distinctPieces(release)) yield { name: pieceName(piece), size: piece.size, piece };
}

/** Paths can share a NAR. */
export function* distinctPieces({ pieces }: Pick<Release, 'pieces'>): Generator<Piece, void, void> {
  const seen = new Set<string>();
  for (const ofLine of pieces.values())
    for (const piece of ofLine) {
      const name = pieceName(piece);
      if (seen.has(name)) continue;
      seen.add(name);
      yield piece;
    }
}

function narinfoOf({ index, nixSignatures }: Release, line: number, piece: Piece): [string, string] {
  const info = index.info(line);
  const text = renderNarinfo({
    ...plainNarinfo(info, nixSignatures.of(line)),
    url: pieceName(piece),
    compression: 'zstd',
    fileHash: `sha256:${piece.digest}`,
    fileSize: piece.size,
  });
  return [`${hashPart(info.path)}.narinfo`, text];
}

function textMember(name: string, text: string): ComputedMember {
  const bytes = Buffer.from(text);
  return { name, size: bytes.length, bytes };
}
