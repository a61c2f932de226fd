/** `put --split` and `put --size`: bundles over several media. Each is a pool of its own, complete in itself for what it carries. */
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { sizeOfParts } from '../../bundle/parts.ts';
import { cacheOf } from '../../bundle/pool.ts';
import { NixmakerError } from '../../core/errors.ts';
import { type Piece, pieceName } from '../../core/release/contents-file.ts';
import { encodeParts, mostParts, mostPartsBytes } from '../../core/release/parts.ts';
import { costOf, type Media, type Split, type SplitItem, splitOver } from '../../core/release/split.ts';
import { sizeText, unlikeSizes } from '../../core/size.ts';
import { type Item, openItem, type PartItem } from './put-item.ts';

/** How many media there are, and what goes where. */
export interface SplitPlan {
  readonly of: number;
  /** What part n, from 1, carries of the release with this manifest digest; undefined if nothing. */
  readonly partItem: (part: number, digest: string) => PartItem | undefined;
}

/** What most are formatted with; discs have half of it. Bytes. */
const usualBlock = 4096;

/** Left for the file system itself. Bytes. */
const spare = 2 * 1024 * 1024;

/** Any number of media that are alike. @param size bytes, as printed on a disc */
export const alikeMedia = (size: number): Media => ({
  block: usualBlock,
  roomOf: () => size,
  isEndless: true,
});

/** These media, with what is free on each or already holds what is to be put there. */
export async function theseMedia(media: readonly string[], bundles: readonly string[]): Promise<Media> {
  const spaces = await Promise.all(media.map((medium) => statfs(medium)));
  const block = Math.max(usualBlock, ...spaces.map(({ bsize }) => bsize));
  return withItems(bundles, async (items) => {
    const rooms: number[] = [];
    for (const [i, { bavail, bsize }] of spaces.entries())
      rooms.push(bavail * bsize - spare + (await takenBy(items, media[i] as string, block)));
    return { block, roomOf: (part) => rooms[part - 1], isEndless: false };
  });
}

/** What is there already, from an earlier time, needs no more room. */
async function takenBy(items: readonly Item[], medium: string, block: number): Promise<number> {
  let bytes = 0;
  for (const [name, { size }] of piecesOf(items))
    if ((await sizeOfParts(join(cacheOf(medium), name))) === size) bytes += costOf(size, block);
  return bytes;
}

/** @throws NixmakerError `medium-full` if a piece fits on none, or there are too few */
export function planSplit(bundles: readonly string[], media: Media): Promise<SplitPlan> {
  return withItems(bundles, async (items) => {
    const split = splitOver(items.map(splitItemOf), media);
    if ('misfit' in split) throw full(split);
    const { partOf, parts: of } = split;
    if (of > mostParts)
      throw new NixmakerError('medium-full', `it would take ${of} media; at most ${mostParts} work`);
    const hints = new Map(items.map((item) => [item.digest, carriersOf(item, partOf)]));
    const carries = (part: number) => (piece: Piece) => partOf.get(pieceName(piece)) === part;
    return {
      of,
      partItem: (part, digest) => {
        const carriers = hints.get(digest);
        if (carriers === undefined) return undefined;
        const isHere = carriers.includes(part) || (part === 1 && carriers.every((carrier) => carrier === 0));
        const hint = encodeParts({ part, of, partOf: carriers }, digest);
        return isHere ? { carries: carries(part), hint } : undefined;
      },
    };
  });
}

const full = ({ misfit, room, left }: Extract<Split, { misfit: unknown }>): NixmakerError => {
  const [size, free] = unlikeSizes(misfit.size, room);
  return new NixmakerError(
    'medium-full',
    `${misfit.name} has ${size}, and ${free} are left on the last medium; ${sizeText(left)} have no place`,
  );
};

/** The part that carries each line; 0 for what the bundle leaves out. */
function carriersOf({ bundle }: Item, partOf: ReadonlyMap<string, number>): Uint16Array {
  const carriers = new Uint16Array(bundle.index.length);
  for (const [line, [first]] of bundle.pieces)
    if (first !== undefined) carriers[line] = partOf.get(pieceName(first)) ?? 0;
  return carriers;
}

/** What `contents` says of a piece. Bytes. */
const contentsBytes = 256;

function splitItemOf({ head, bundle }: Item): SplitItem {
  const { index, nixSignatures, pieces } = bundle;
  const ways = [...pieces.values()].flat();
  const fixed = [
    ...[
      head.manifestBytes.length,
      head.signatureBytes.length,
      index.bytes.length,
      nixSignatures.bytes.length,
    ],
    ...[contentsBytes * (ways.length + 1), mostPartsBytes(index), contentsBytes],
  ];
  return { fixed, pieces: ways.map((piece) => ({ name: pieceName(piece), size: piece.size })) };
}

const piecesOf = (items: readonly Item[]): ReadonlyMap<string, Piece> =>
  new Map(items.flatMap(({ bundle }) => [...bundle.pieces.values()].flat()).map((p) => [pieceName(p), p]));

async function withItems<T>(
  bundles: readonly string[],
  work: (items: readonly Item[]) => Promise<T>,
): Promise<T> {
  const items: Item[] = [];
  try {
    for (const path of bundles) items.push(await openItem(path));
    return await work(items);
  } finally {
    for (const item of items) await item.close();
  }
}
