/** `build` of a system that is already built, against the classic way. */
import { rm, stat } from 'node:fs/promises';
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
  /** Seconds, the median. */
  readonly build: number;
  /** Measured once: it takes a minute, nearly all of it gzip on one processor. */
  readonly classicBuild: number;
  /** zstd alone, level 3, over the same NARs in one stream. */
  readonly zstdAlone: number;
}

export const shell = (builder: Builder, script: string, ...args: string[]) =>
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
  for (let round = 0; round < repeats; round++) {
    await rm(out, { recursive: true, force: true });
    const args = ['-f', `path:${flake}`, '-d', out, '--key', key.file, '--no-cache'];
    ours.push(await seconds(async () => must(await builder.nixmaker(['build', ...args]))));
  }
  const copy = 'nix copy --no-check-sigs --to "$2" "$1"; tar -czf "$3" -C "$2" nix';
  const classicBuild = await seconds(() => shell(builder, copy, toplevel, unpacked, classic));
  await removeFolder(unpacked);
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
    classicBuild,
    zstdAlone,
  };
}
