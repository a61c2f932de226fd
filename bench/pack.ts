/** `build` of a system that is already built, against the classic way; and ten hosts against one. */
import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Builder } from '../test/machines/builder.ts';
import { type Key, median, must, seconds, toplevelOf, writeSystem } from './system.ts';
import { removeFolder } from './target.ts';

export interface PackFigures {
  readonly paths: number;
  readonly closureBytes: number;
  readonly bundle: string;
  readonly classic: string;
  readonly toplevel: string;
  readonly bundleBytes: number;
  readonly classicBytes: number;
  /** Seconds; all medians. */
  readonly build: number;
  readonly classicBuild: number;
  /** zstd alone, level 3, over the same NARs in one stream. */
  readonly zstdAlone: number;
}

const shell = (builder: Builder, script: string, ...args: string[]) =>
  builder.run(['sh', '-euc', script, 'sh', ...args]).then(must);

export async function measurePack(
  place: string,
  { builder, key, count, repeats }: { builder: Builder; key: Key; count: number; repeats: number },
): Promise<PackFigures> {
  const flake = join(place, 'pack-flake');
  await writeSystem(flake, { count });
  const built = must(
    await builder.run(['nix', 'build', '--no-link', '--print-out-paths', toplevelOf(flake)]),
  );
  const toplevel = built.stdout.trim();
  const sizes = must(await builder.run(['nix', 'path-info', '--closure-size', toplevel]));
  const out = join(place, 'packed');
  const classic = join(place, 'classic.tar.gz');
  const unpacked = join(place, 'classic');
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < repeats; round++) {
    await rm(out, { recursive: true, force: true });
    const args = ['-f', `path:${flake}`, '-d', out, '--key', key.file, '--no-cache'];
    ours.push(await seconds(async () => must(await builder.nixmaker(['build', ...args]))));
    theirs.push(
      await seconds(() =>
        shell(
          builder,
          'nix copy --no-check-sigs --to "$2" "$1"; tar -czf "$3" -C "$2" nix',
          toplevel,
          unpacked,
          classic,
        ),
      ),
    );
    await removeFolder(unpacked);
  }
  const zstdAlone = await seconds(() =>
    shell(builder, 'nix-store --export $(nix-store -qR "$1") | zstd -3 -T1 -q >/dev/null', toplevel),
  );
  const bundle = join(out, 'host/host.tar');
  return {
    paths: count,
    closureBytes: Number(/(\d+)\s*$/.exec(sizes.stdout)?.[1]),
    bundle,
    classic,
    toplevel,
    bundleBytes: (await stat(bundle)).size,
    classicBytes: (await stat(classic)).size,
    build: median(ours),
    classicBuild: median(theirs),
    zstdAlone,
  };
}

export interface NextFigures {
  /** Seconds, medians: with nothing kept from before, and the next release, in which two paths in a hundred are new. */
  readonly first: number;
  readonly next: number;
  /** The next release, when nothing of the first may be used. */
  readonly anew: number;
  /** Seconds: the first bundle copied and flushed, which nothing can do without. */
  readonly copied: number;
}

/** A release costs what changed. */
export async function measureNext(
  place: string,
  { builder, key, count, repeats }: { builder: Builder; key: Key; count: number; repeats: number },
): Promise<NextFigures> {
  const flakes = { first: join(place, 'next-first'), week: join(place, 'next-week') };
  for (const shape of ['first', 'week'] as const) {
    await writeSystem(flakes[shape], { shape, count });
    must(await builder.run(['nix', 'build', '--no-link', toplevelOf(flakes[shape])]));
  }
  const out = join(place, 'next');
  const build = (shape: 'first' | 'week', env: Record<string, string>, ...more: readonly string[]) => {
    const args = ['build', '-f', `path:${flakes[shape]}`, '-d', out, '--key', key.file, ...more];
    return seconds(async () => must(await builder.nixmaker(args, { env })));
  };
  const times: { readonly [K in keyof NextFigures]: number[] } = {
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
    times.first.push(await build('first', env));
    times.next.push(await build('week', env));
    times.anew.push(await build('week', env, '--no-cache'));
    const copy = 'cp "$1" "$2"; sync "$2"';
    times.copied.push(
      await seconds(() => shell(builder, copy, join(out, 'host/host.tar'), join(out, 'copy'))),
    );
    await rm(env.XDG_CACHE_HOME, { recursive: true, force: true });
  }
  await rm(out, { recursive: true, force: true });
  const { first, next, anew, copied } = times;
  return { first: median(first), next: median(next), anew: median(anew), copied: median(copied) };
}

export interface HostsFigures {
  readonly hosts: number;
  /** Seconds. */
  readonly one: number;
  readonly all: number;
  /** The same with `put --flake`, onto an empty folder. */
  readonly putOne: number;
  readonly putAll: number;
  /** Ten bundles copied and flushed, which `put --flake` does not write. */
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
    seconds(async () =>
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
    const time = await seconds(async () => must(await builder.nixmaker(['put', medium, ...flags, ...args])));
    await rm(medium, { recursive: true, force: true });
    return time;
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
