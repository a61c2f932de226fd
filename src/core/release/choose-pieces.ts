/** Which of the ways to have a path is gone, of those that `contents` offers. Pure. */
import type { StorePath } from '../store-path.ts';
import type { DeltaPiece, Piece } from './contents-file.ts';

export interface Chosen {
  /** By line of the index. */
  readonly pieces: ReadonlyMap<number, Piece>;
  /** Lines that can’t be had: of each a base that is not there, where there would be a way with one. */
  readonly lacking: readonly { readonly line: number; readonly base: StorePath | undefined }[];
}

/** Of each line the first way that can be gone. @param isUsable whether what the difference is to is there, as it has to be */
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
