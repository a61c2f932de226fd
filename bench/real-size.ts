/** Recipes as in a real NixOS system: built, verified and taken, beside the time Nix alone takes to copy them. */
import { copyFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Builder } from '../test/machines/builder.ts';
import { startInstalled } from '../test/machines/installed.ts';
import { writeRecipes } from '../test/support/recipes.ts';
import { releaseOf } from '../test/support/released.ts';
import { type Key, must, seconds } from './system.ts';
import { peakMemory, realSizeTarget, removeFolder } from './target.ts';

export interface RealSizeFigures {
  readonly paths: number;
  readonly bundleBytes: number;
  readonly indexBytes: number;
  /** Seconds; evaluated in advance, so Nix’s part is small. */
  readonly build: number;
  readonly verify: number;
  /** `nix copy --derivation` into a binary cache folder. */
  readonly copy: number;
  /** From the inbox until committed; of that, the import. */
  readonly take: number;
  readonly import: number;
  readonly peak: number;
}

export async function measureRealSize(
  place: string,
  { builder, key, count }: { builder: Builder; key: Key; count: number },
): Promise<RealSizeFigures> {
  const flake = join(place, 'recipes');
  const out = join(place, 'recipes-out');
  await writeRecipes(flake, count);
  const attribute = `path:${flake}#nixosConfigurations.host.config.system.build.toplevel.drvPath`;
  const derivation = must(await builder.run(['nix', 'eval', '--raw', attribute])).stdout;
  const cache = join(place, 'recipes-cache');
  const copy = await seconds(async () =>
    must(
      await builder.run([
        'nix',
        'copy',
        '--derivation',
        '--to',
        `file://${cache}?compression=zstd`,
        derivation,
      ]),
    ),
  );
  const args = ['-f', `path:${flake}`, '-d', out, '--key', key.file, '--content', 'derivation'];
  const build = await seconds(async () => must(await builder.nixmaker(['build', ...args])));
  const bundle = join(out, 'host/host.tar');
  const verify = await seconds(async () =>
    must(await builder.nixmaker(['verify', '--key', key.publicKey, bundle])),
  );
  const { index } = await releaseOf(bundle);

  const { target, remove } = await realSizeTarget(join(place, 'recipes-target'), { key });
  const agent = await startInstalled(target);
  await copyFile(bundle, join(target.inbox, '.host.tar'));
  let imported = Number.NaN;
  const take = await seconds(async () => {
    must(await target.run(['mv', join(target.inbox, '.host.tar'), join(target.inbox, 'host.tar')]));
    const line = await agent.waitFor((l) => l.event === 'committed', 600_000);
    imported = (line.imported as { milliseconds: number }).milliseconds / 1000;
  });
  const peak = await peakMemory(agent.child.pid as number);
  await agent.stop();
  await remove();
  const bundleBytes = (await stat(bundle)).size;
  for (const folder of [cache, out]) await removeFolder(folder);
  return {
    paths: index.length,
    bundleBytes,
    indexBytes: index.bytes.length,
    build,
    verify,
    copy,
    take,
    import: imported,
    peak,
  };
}
