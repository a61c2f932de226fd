/**
 * Which path of the bases a changed path most likely comes from: judged by its name, and by its contents if the name says little. A
 * renamed package, or one of thirty paths called `source`, has a predecessor too.
 */
import pLimit from 'p-limit';
import { Namesakes } from '../../core/bundle/predecessor.ts';
import { likeness, type Sketch, Sketcher } from '../../core/bundle/sketch.ts';
import type { StorePath } from '../../core/store-path.ts';

/** A path and what it must hold: the same path may have been built differently elsewhere. */
export interface HashedPath {
  readonly path: StorePath;
  readonly narSize: number;
  /** sha256 in Nix’s base 32, without prefix. */
  readonly narHash: string;
}

/** How many paths are examined: namesakes, nearest sizes first; or similar ones if there is no namesake. */
const most = 12;
/** Below this, two paths have nothing in common that would make a delta worthwhile. */
const alike = 0.05;
/** Of NARs that are looked into few at a time, however many processors there are: each is held in memory. */
const lookedInto = 2;
/** Smaller ones take no more room whole. */
const worthSearching = 4096;

/** A path’s NAR; undefined if this machine does not have it as Nix knows it. */
export type ReadNar = (path: HashedPath) => Promise<Buffer | undefined>;

export class Likely {
  readonly #read: ReadNar;
  readonly #known: ReadonlyMap<StorePath, HashedPath>;
  readonly #namesakes: Namesakes;
  readonly #unclaimed: readonly HashedPath[];
  readonly #few = pLimit(lookedInto);
  readonly #sketches = new Map<StorePath, Promise<Sketch | undefined>>();
  #byNumber: Promise<ReadonlyMap<number, readonly HashedPath[]>> | undefined;

  /** @param bases all candidates @param gone those that the new closure no longer has */
  constructor(
    { read, bases, gone }: { read: ReadNar; bases: readonly HashedPath[]; gone: readonly HashedPath[] },
    changed: readonly HashedPath[],
  ) {
    this.#read = read;
    this.#known = new Map(bases.map((base) => [base.path, base]));
    this.#namesakes = new Namesakes(bases);
    // Anything whose name has a successor is not considered for paths without a predecessor.
    const claimed = new Set(changed.map((info) => this.#namesakes.of(info)[0]?.path));
    this.#unclaimed = gone.filter(({ path, narSize }) => !claimed.has(path) && narSize >= worthSearching);
  }

  /** Likeliest first. */
  async of(info: HashedPath): Promise<readonly HashedPath[]> {
    const named = this.#namesakes.of(info).slice(0, most);
    const known = named.flatMap(({ path }) => this.#known.get(path) ?? []);
    if (known.length === 1) return known;
    if (known.length > 1) return this.#byLikeness(info, known);
    return info.narSize < worthSearching ? [] : this.#search(info);
  }

  /** Nearest size first if they are equally similar. */
  async #byLikeness(info: HashedPath, known: readonly HashedPath[]): Promise<readonly HashedPath[]> {
    const own = await this.#sketch(info);
    if (own === undefined) return known;
    const ranked: { readonly base: HashedPath; readonly like: number }[] = [];
    for (const base of known) {
      const sketch = await this.#sketch(base);
      ranked.push({ base, like: sketch === undefined ? 0 : likeness(own, sketch) });
    }
    return ranked.sort((a, b) => b.like - a.like).map(({ base }) => base);
  }

  async #search(info: HashedPath): Promise<readonly HashedPath[]> {
    const own = await this.#sketch(info);
    if (own === undefined || this.#unclaimed.length === 0) return [];
    this.#byNumber ??= this.#index();
    const byNumber = await this.#byNumber;
    const met = new Set(Array.from(own).flatMap((number) => byNumber.get(number) ?? []));
    const ranked = await this.#byLikeness(info, [...met]);
    const first = ranked.slice(0, most);
    const sketches = await Promise.all(first.map((base) => this.#sketch(base)));
    return first.filter((_, i) => likeness(own, sketches[i] ?? own.subarray(0, 0)) >= alike);
  }

  async #index(): Promise<ReadonlyMap<number, readonly HashedPath[]>> {
    const byNumber = new Map<number, HashedPath[]>();
    for (const base of this.#unclaimed)
      for (const number of (await this.#sketch(base)) ?? []) {
        const there = byNumber.get(number);
        if (there === undefined) byNumber.set(number, [base]);
        else there.push(base);
      }
    return byNumber;
  }

  #sketch(info: HashedPath): Promise<Sketch | undefined> {
    const known = this.#sketches.get(info.path);
    if (known !== undefined) return known;
    const making = this.#few(async () => {
      const nar = await this.#read(info);
      if (nar === undefined) return undefined;
      const sketcher = new Sketcher();
      sketcher.add(nar);
      return sketcher.end();
    });
    this.#sketches.set(info.path, making);
    return making;
  }
}
