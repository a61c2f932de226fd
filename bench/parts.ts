/** What is measured, part by part, in the order of a whole run. */
import type { Builder } from '../test/machines/builder.ts';
import { measureFleet } from './fleet.ts';
import { measureImport } from './import.ts';
import { measureMemory } from './memory.ts';
import { measureMonths } from './months.ts';
import { measureHosts, measureNext } from './next.ts';
import { measureNotice } from './notice.ts';
import type { PackFigures } from './pack.ts';
import { measurePool } from './pool.ts';
import { measureRealSize } from './real-size.ts';
import { measureReleases } from './releases.ts';
import { measureRest } from './rest.ts';
import { measureScale } from './scale.ts';
import type { Key } from './system.ts';

export interface Bench {
  readonly place: string;
  readonly builder: Builder;
  readonly key: Key;
  readonly isQuick: boolean;
  /** Paths of the system that is packed. */
  readonly count: number;
  /** What a median is of. */
  readonly repeats: number;
  /** The system that several parts take, packed once for all of them. */
  readonly packed: () => Promise<PackFigures>;
}

const sizesOf = async (bench: Bench) => {
  const memory = [];
  for (const mebibytes of bench.isQuick ? [50, 300] : [50, 2048])
    memory.push(await measureMemory(bench.place, { ...bench, mebibytes }));
  return memory;
};

/** By the name that `--only` takes. */
export const parts = {
  pack: async ({ packed }: Bench) => {
    const { bundle: _bundle, classic: _classic, toplevel: _toplevel, ...figures } = await packed();
    return figures;
  },
  next: (bench: Bench) => measureNext(bench.place, { ...bench, count: bench.isQuick ? 500 : bench.count }),
  imports: async (bench: Bench) =>
    measureImport(bench.place, {
      ...bench,
      pack: await bench.packed(),
      smaller: bench.isQuick ? [] : [200, 1000],
    }),
  releases: (bench: Bench) => measureReleases(bench.place, bench),
  months: (bench: Bench) => measureMonths(bench, bench.isQuick),
  hosts: (bench: Bench) => measureHosts(bench.place, { ...bench, count: bench.isQuick ? 200 : 1000 }),
  scale: async (bench: Bench) =>
    measureScale(bench.place, { ...bench, bundle: (await bench.packed()).bundle, hosts: 1000 }),
  fleet: ({ place, isQuick }: Bench) =>
    measureFleet(place, isQuick ? { hosts: 50, receipts: 20 } : { hosts: 1000, receipts: 64 }),
  realSize: (bench: Bench) =>
    measureRealSize(bench.place, { ...bench, count: bench.isQuick ? 1000 : 20_000 }),
  memory: sizesOf,
  pool: (bench: Bench) => measurePool(bench.place, bench),
  notice: ({ place }: Bench) => measureNotice(place),
  rest: ({ place, key }: Bench) => measureRest(place, key),
} as const;

export type PartName = keyof typeof parts;
export const partNames = Object.keys(parts) as readonly PartName[];

/** What was measured: all of it, or the parts that were asked for and did not fail. */
export type Figures = { readonly [N in PartName]?: Awaited<ReturnType<(typeof parts)[N]>> } & {
  readonly quick: boolean;
  readonly repeats: number;
  /** Seconds that each part took. */
  readonly took: Readonly<Partial<Record<PartName, number>>>;
};
