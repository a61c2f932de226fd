/** Chooses how to obtain each path among the ways that `contents` offers. Pure. */
import type { StorePath } from '../store-path.ts';
import type { DeltaPiece, Piece } from './contents-file.ts';

export interface Chosen {
  /** By index line. */
  readonly pieces: ReadonlyMap<number, Piece>;
  /** Lines that can’t be obtained: for each a missing base, if one would help. */
  readonly lacking: readonly { readonly line: number; readonly base: StorePath | undefined }[];
}

/** The first usable way for each line. @param isUsable whether the delta’s base is there, with the right contents */
export function choosePieces(
  lines: readonly number[],
  offered: ReadonlyMap<number, readonly Piece[]>,
  isUsable: (piece: DeltaPiece) => boolean,
): Chosen {
  const pieces = new Map<number, Piece>();
  const lacking: { line: number; base: StorePath | undefined }[] = [];
  for (const line of lines) {
    const ways = offered.get(line) ?? [];
    const first = ways.find((way) => way.kind === 'whole' || isUsable(way));
    if (first !== undefined) pieces.set(line, first);
    else lacking.push({ line, base: ways.find((way) => way.kind === 'delta')?.base });
  }
  return { pieces, lacking };
}
