/** One release’s `contents` from two bundles: one pool entry then serves hosts that have different things. */

import { limits } from '../../core/limits.ts';
import { encodeContents, type Piece, pieceName } from '../../core/release/contents-file.ts';

export type Pieces = ReadonlyMap<number, readonly Piece[]>;

/**
 * By line, the smaller piece first: the first usable one counts. If there are too many, the largest go, but never
 * the last one that needs no base.
 */
export function mergePieces(first: Pieces, second: Pieces): Map<number, readonly Piece[]> {
  const lines = [...new Set([...first.keys(), ...second.keys()])].sort((a, b) => a - b);
  return new Map(
    lines.map((line) => [line, chosen([...(first.get(line) ?? []), ...(second.get(line) ?? [])])] as const),
  );
}

function chosen(pieces: readonly Piece[]): Piece[] {
  // A delta to another base may have the same bytes.
  const distinct = new Map(
    pieces.map((piece) => [`${pieceName(piece)} ${piece.kind === 'delta' ? piece.base : ''}`, piece]),
  );
  const sorted = [...distinct.values()].sort(
    (a, b) => a.size - b.size || (pieceName(a) < pieceName(b) ? -1 : 1),
  );
  const kept = sorted.slice(0, limits.piecesOfALine);
  const whole = sorted.find((piece) => piece.kind === 'whole');
  return whole === undefined || kept.includes(whole) ? kept : [...kept.slice(0, -1), whole];
}

export const contentsOf = (manifestDigest: string, pieces: Pieces): Buffer =>
  Buffer.from(encodeContents(manifestDigest, [...pieces.values()].flat()));
