/** What a release costs that changed little, and ten hosts that share most of what they have. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Builder } from '../test/machines/builder.ts';
import { shell } from './pack.ts';
import { type Key, median, must, processorSeconds, seconds, toplevelOf, writeSystem } from './system.ts';

/** Seconds: by the clock, and of the processor, which on a busy machine says more. */
export interface Cost {
  readonly time: number;
  readonly processor: number;
}

export interface NextFigures {
  readonly paths: number;
  /** Medians: with nothing kept from before, and the next release, in which two paths in a hundred are new. */
  readonly first: Cost;
  readonly next: Cost;
  /** The next release, when nothing of the first may be used. */
  readonly anew: Cost;
  /** The floor: the bundle read, hashed, copied and flushed, which nothing can do without. */
  readonly copied: Cost;
}

async function costOf(work: () => Promise<unknown>): Promise<Cost> {
  let time = Number.NaN;
  const processor = await processorSeconds(async () => {
    time = await seconds(work);
  });
  return { time, processor };
}

const medianCost = (costs: readonly Cost[]): Cost => ({
  time: median(costs.map(({ time }) => time)),
  processor: median(costs.map(({ processor }) => processor)),
});

/** A release costs what changed. */
export async function measureNext(
  place: string,
  { builder, key, count, repeats }: { builder: Builder; key: Key; count: number; repeats: number },
): Promise<NextFigures> {
  const flakes = { first: join(place, 'next-first'), week: join(place, 'next-week') };
  for (const shape of ['first', 'week'] as const) {
    await writeSystem(flakes[shape], { shape, count, groupSize: count / 50 });
    must(await builder.run(['nix', 'build', '--no-link', toplevelOf(flakes[shape])]));
  }
  const out = join(place, 'next');
  const build = (shape: 'first' | 'week', env: Record<string, string>, ...more: readonly string[]) => {
    const args = ['build', '-f', `path:${flakes[shape]}`, '-d', out, '--key', key.file, ...more];
    return costOf(async () => must(await builder.nixmaker(args, { env })));
  };
  const costs: { readonly [K in Exclude<keyof NextFigures, 'paths'>]: Cost[] } = {
    first: [],
    next: [],
    anew: [],
    copied: [],
  };
  for (let round = 0; round < repeats; round++) {
    const env = { XDG_CACHE_HOME: join(place, `next-cache-${round}`) };
    // Nix’s own caches are warm in all of them.
    await build('week', env, '--no-cache');
    await build('first', env, '--no-cache');
    costs.first.push(await build('first', env));
    costs.next.push(await build('week', env));
    costs.anew.push(await build('week', env, '--no-cache'));
    const copy =
      'openssl dgst -sha256 "$1" >/dev/null 2>&1 || sha256sum "$1" >/dev/null; cp "$1" "$2"; sync "$2"';
    costs.copied.push(
      await costOf(() => shell(builder, copy, join(out, 'host/host.tar'), join(out, 'copy'))),
    );
    await rm(env.XDG_CACHE_HOME, { recursive: true, force: true });
  }
  await rm(out, { recursive: true, force: true });
  const { first, next, anew, copied } = costs;
  return {
    paths: count,
    first: medianCost(first),
    next: medianCost(next),
    anew: medianCost(anew),
    copied: medianCost(copied),
  };
}

export interface HostsFigures {
  readonly hosts: number;
  readonly one: Cost;
  readonly all: Cost;
  /** The same with `put --flake`, onto an empty folder. */
  readonly putOne: Cost;
  readonly putAll: Cost;
  /** Ten bundles copied and flushed, which `put --flake` does not write. Seconds. */
  readonly copied: number;
}

/** Ten hosts that share nine paths in ten. */
export async function measureHosts(
  place: string,
  { builder, key, count }: { builder: Builder; key: Key; count: number },
): Promise<HostsFigures> {
  const hosts = Array.from({ length: 10 }, (_, i) => `h${i}`);
  const flake = join(place, 'hosts-flake');
  await writeSystem(flake, { count: count * 0.9, own: Math.min(100, count * 0.1), hosts });
  for (const host of hosts) must(await builder.run(['nix', 'build', '--no-link', toplevelOf(flake, host)]));
  const build = (...args: string[]) =>
    costOf(async () =>
      must(
        await builder.nixmaker([
          'build',
          '-f',
          `path:${flake}`,
          '-d',
          join(place, `hosts-${args.length}`),
          '--key',
          key.file,
          '--no-cache',
          ...args,
        ]),
      ),
    );
  const put = async (name: string, ...args: string[]) => {
    const medium = join(place, name);
    await mkdir(medium);
    const flags = ['-f', `path:${flake}`, '-d', join(place, `${name}-out`), '--key', key.file, '--no-cache'];
    const cost = await costOf(async () => must(await builder.nixmaker(['put', medium, ...flags, ...args])));
    await rm(medium, { recursive: true, force: true });
    return cost;
  };
  const one = await build('--host', 'h0');
  const all = await build();
  const written = join(place, 'hosts-0');
  const figures = {
    hosts: hosts.length,
    one,
    all,
    putOne: await put('put-one', '--host', 'h0'),
    putAll: await put('put-all'),
    copied: await seconds(() =>
      shell(builder, 'cp -r "$1" "$2"; sync --file-system "$2"', written, `${written}-copy`),
    ),
  };
  for (const n of ['0', '0-copy', '2']) await rm(join(place, `hosts-${n}`), { recursive: true, force: true });
  return figures;
}
