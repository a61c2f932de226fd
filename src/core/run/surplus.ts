/**
 * Which generations of the system profile may be deleted to make room, and how many need to be. Pure.
 *
 * They go oldest first and without a gap. Threat: a boot builder keeps the newest N; if one in the middle went, an older one would come
 * back into the menu, and its kernel with it.
 */
import type { RetentionPolicy } from '../policy/policy.ts';
import type { StorePath } from '../store-path.ts';

export interface Generation {
  readonly number: number;
  readonly toplevel: StorePath;
  /** When it was made, in milliseconds since 1970. */
  readonly made: number;
}

export const keepReasons = [
  'installed',
  'running',
  'booted',
  'pending',
  'previous',
  'under-way',
  'held',
  'newest',
  'young',
] as const;

/** Why a generation stays. `newest` and `young` are the policy’s retention, the others what the machine needs. */
export type KeepReason = (typeof keepReasons)[number];

/** What the machine needs. */
export interface Needed {
  readonly numbers: ReadonlyMap<number, KeepReason>;
  /** For each of these, the newest generation stays. */
  readonly systems: ReadonlyMap<string, KeepReason>;
}

export interface Question {
  readonly generations: readonly Generation[];
  readonly needed: Needed;
  readonly retention: Pick<RetentionPolicy, 'generations' | 'generationDays'>;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** One more is about to be made, and counts as the newest. */
  readonly isOneComing: boolean;
}

const dayMilliseconds = 86_400_000;

const byAge = (a: Generation, b: Generation) => a.number - b.number;

/** Each generation that stays, by number, with the first reason. */
export function whyKept({
  generations,
  needed,
  retention,
  now,
  isOneComing,
}: Question): Map<number, KeepReason> {
  const kept = new Map<number, KeepReason>();
  const keep = (number: number, reason: KeepReason) => {
    if (!kept.has(number)) kept.set(number, reason);
  };
  const newestFirst = [...generations].sort(byAge).reverse();
  for (const [number, reason] of needed.numbers)
    if (generations.some((g) => g.number === number)) keep(number, reason);
  for (const [system, reason] of needed.systems) {
    const newest = newestFirst.find((g) => g.toplevel === system);
    if (newest !== undefined) keep(newest.number, reason);
  }
  const most = retention.generations - (isOneComing ? 1 : 0);
  for (const { number } of newestFirst.slice(0, most)) keep(number, 'newest');
  // Without days none is young: a clock that was set back must not keep all of them.
  const youngest = retention.generationDays * dayMilliseconds;
  for (const { number, made } of newestFirst)
    if (youngest > 0 && now - made < youngest) keep(number, 'young');
  return kept;
}

/** Those that may go, oldest first. */
export const surplusOf = (
  generations: readonly Generation[],
  kept: ReadonlyMap<number, KeepReason>,
): Generation[] => generations.filter(({ number }) => !kept.has(number)).sort(byAge);

/** What a generation holds: store paths, or files of a boot partition, with their bytes. */
export type Holding = ReadonlyMap<string, number>;

/**
 * How many of the surplus, starting with the oldest, have to go to free this many bytes: the fewest that do.
 * @param surplus what each holds, oldest first
 * @param others what the generations that stay hold: it is not freed
 * @returns undefined if all of them would not be enough
 */
export function countToDelete(
  surplus: readonly Holding[],
  others: Iterable<Holding>,
  bytes: number,
): number | undefined {
  return countIn(freedBy(surplus, others), bytes);
}

/** The same of what is freed once the first, the first two, … have gone. */
export function countIn(freed: readonly number[], bytes: number): number | undefined {
  if (bytes <= 0) return 0;
  const index = freed.findIndex((sum) => sum >= bytes);
  return index === -1 ? undefined : index + 1;
}

/** Bytes free once the first, the first two, … of the surplus have gone. */
export function freedBy(surplus: readonly Holding[], others: Iterable<Holding>): number[] {
  const freeing = new HeldLast();
  for (const holding of surplus) freeing.goes(holding);
  for (const holding of others) freeing.stays(holding);
  return freeing.sums();
}

/** The same, told one after the other: what each holds need not be in memory together. */
export class HeldLast {
  // What several hold goes with the last of them.
  readonly #last = new Map<string, { readonly index: number; readonly bytes: number }>();
  #count = 0;

  /** The next of the surplus. */
  goes(holding: Holding): void {
    for (const [name, bytes] of holding) this.#last.set(name, { index: this.#count, bytes });
    this.#count += 1;
  }

  /** One that stays. To be told once all that go have been. */
  stays(holding: Holding): void {
    for (const name of holding.keys()) this.#last.delete(name);
  }

  sums(): number[] {
    const sums = new Array<number>(this.#count).fill(0);
    for (const { index, bytes } of this.#last.values()) sums[index] = (sums[index] ?? 0) + bytes;
    let sum = 0;
    return sums.map((own) => {
      sum += own;
      return sum;
    });
  }
}
