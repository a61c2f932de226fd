/** The agent's peak memory as bundles grow. */
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Builder, copySample } from '../test/machines/builder.ts';
import { startInstalled } from '../test/machines/installed.ts';
import { nixSystem, run } from '../test/machines/program.ts';
import { type Key, must } from './system.ts';
import { freshTarget, peakMemory, removeFolder } from './target.ts';

export interface MemoryFigures {
  readonly bundleBytes: number;
  readonly peak: number;
}

/** A bundle of this many MiB that do not compress, in paths of 8 MiB. */
export async function measureMemory(
  place: string,
  { builder, key, mebibytes }: { builder: Builder; key: Key; mebibytes: number },
): Promise<MemoryFigures> {
  const flake = join(place, `memory-${mebibytes}`);
  await copySample(flake);
  const part = `n: derivation { name = "random-\${toString n}"; system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin:/run/current-system/sw/bin"; args = [ "-c" "head -c ${8 * 1024 ** 2} /dev/urandom >$out" ]; }`;
  const count = Math.max(1, Math.round(mebibytes / 8));
  await writeFile(
    join(flake, 'flake.nix'),
    `{ outputs = { self }: { nixosConfigurations.host = import ./system.nix { hostName = "host"; motd = toString (builtins.genList (${part}) ${count}); }; }; }`,
  );
  const out = join(place, `memory-out-${mebibytes}`);
  must(await builder.nixmaker(['build', '-f', `path:${flake}`, '-d', out, '--key', key.file]));
  const bundle = join(out, 'host/host.tar');
  const bundleBytes = (await stat(bundle)).size;
  const { target, remove } = await freshTarget(join(place, `memory-target-${mebibytes}`), { key });
  const agent = await startInstalled(target);
  must(await run('mv', [bundle, join(target.inbox, 'web.tar')]));
  await agent.waitFor((l) => l.event === 'committed', 600_000);
  const peak = await peakMemory(agent.child.pid as number);
  await agent.stop();
  await remove();
  await removeFolder(out);
  return { bundleBytes, peak };
}
