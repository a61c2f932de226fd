/** What was freed to make room, as in receipts. Pure. */
import { given } from '../given.ts';
import { sizeText } from '../size.ts';
import * as z from '../zod.ts';

const count = z.int().check(z.gte(0), z.lte(Number.MAX_SAFE_INTEGER));

/** Characters. */
const mostReason = 4096;

export const freedParser = z.strictObject({
  /** Numbers of the deleted generations. */
  generations: z.array(count).check(z.maxLength(10_000)),
  /** Store paths that Nix has collected, and their bytes as Nix counts them. */
  paths: count,
  bytes: count,
  /** Bytes of the boot partition. */
  bootBytes: count,
  /** Why it ended before it was done. */
  unfinished: z.optional(z.string().check(z.maxLength(mostReason))),
});

export type Freed = z.infer<typeof freedParser>;

export const nothingFreed: Freed = { generations: [], paths: 0, bytes: 0, bootBytes: 0 };

/** Within what is read again: a builder may have said anything. */
export const unfinishedBecause = (reason: string): Pick<Freed, 'unfinished'> => ({
  unfinished: reason.length > mostReason ? `${reason.slice(0, mostReason - 1)}…` : reason,
});

export const isAnything = ({ generations, paths, bootBytes }: Freed): boolean =>
  generations.length > 0 || paths > 0 || bootBytes > 0;

export function together(one: Freed | undefined, other: Freed): Freed {
  if (one === undefined) return other;
  return given({
    generations: [...one.generations, ...other.generations],
    paths: one.paths + other.paths,
    bytes: one.bytes + other.bytes,
    bootBytes: one.bootBytes + other.bootBytes,
    unfinished: other.unfinished ?? one.unfinished,
  });
}

/** For people, without a full stop. */
export function freedText(freed: Freed): string {
  const { generations, paths, bytes, bootBytes, unfinished } = freed;
  const parts = [
    ...(generations.length === 0
      ? []
      : [`${generations.length === 1 ? 'generation' : 'generations'} ${rangesOf(generations)} deleted`]),
    ...(paths === 0
      ? []
      : [`${paths} store ${paths === 1 ? 'path' : 'paths'} collected (${sizeText(bytes)})`]),
    ...(bootBytes === 0 ? [] : [`${sizeText(bootBytes)} freed on the boot partition`]),
  ];
  const what = parts.length === 0 ? 'nothing freed' : parts.join(', ');
  return unfinished === undefined ? what : `${what}; ended early: ${unfinished}`;
}

/** `3-17, 19`. */
function rangesOf(numbers: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last !== undefined && number === last[1] + 1) last[1] = number;
    else ranges.push([number, number]);
  }
  return ranges.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(', ');
}
