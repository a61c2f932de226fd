/**
 * Which piece goes on which of several media. Pure.
 *
 * Pieces are laid one after another, each host’s in the order of its index; when one no longer fits, its medium is closed. What a path
 * refers to comes before it in the index, so it is on the same part or on one before it: with all parts up to one, all of that
 * one can be imported. Each part is complete in itself for what it carries.
 */

export interface SplitPiece {
  /** What makes two pieces the same file. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
}

export interface SplitItem {
  /** Files on each part that carries anything of this host: manifest, signatures, index, contents. Bytes. */
  readonly fixed: readonly number[];
  /** In the order of the index. */
  readonly pieces: readonly SplitPiece[];
}

export interface Media {
  /** Files are rounded up to this. Bytes. */
  readonly block: number;
  /** Bytes free on part n, from 1; undefined if there are no more media. */
  readonly roomOf: (part: number) => number | undefined;
  /** Whether all are alike, and there are as many as it takes. */
  readonly isEndless: boolean;
}

export type Split =
  /** The part for each piece by name, and how many parts there are. */
  | { readonly partOf: ReadonlyMap<string, number>; readonly parts: number }
  /** The first piece that has no place, the room on the last medium tried, and what that piece and all after it take. Bytes. */
  | { readonly misfit: SplitPiece; readonly room: number; readonly left: number };

/** What a file takes on a medium: its blocks, and one for its name. Bytes. */
export const costOf = (size: number, block: number): number => (Math.ceil(size / block) + 1) * block;

export function splitOver(items: readonly SplitItem[], { block, roomOf, isEndless }: Media): Split {
  // Any host may have something on any part.
  const fixed = items.flatMap((item) => item.fixed).reduce((sum, size) => sum + costOf(size, block), 0);
  const roomFor = (part: number) => Math.max(0, (roomOf(part) ?? 0) - fixed);
  const distinct = new Map(items.flatMap(({ pieces }) => pieces).map((piece) => [piece.name, piece]));
  const pieces = [...distinct.values()];
  const partOf = new Map<string, number>();
  let part = 1;
  let room = roomFor(part);
  for (const [i, piece] of pieces.entries()) {
    const cost = costOf(piece.size, block);
    while (cost > room) {
      const isLast = isEndless ? room === roomFor(part) : roomOf(part + 1) === undefined;
      const left = pieces.slice(i).reduce((sum, { size }) => sum + costOf(size, block), 0);
      if (isLast) return { misfit: piece, room, left };
      part += 1;
      room = roomFor(part);
    }
    room -= cost;
    partOf.set(piece.name, part);
  }
  return { partOf, parts: partOf.size === 0 ? 1 : part };
}
