/** The size of one pool for ten hosts against that for one host, and the time `put` takes, against copying ten bundles. */
import { cp, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Builder, copySample } from '../test/machines/builder.ts';
import { nixSystem, run } from '../test/machines/program.ts';
import { type Key, must, seconds } from './system.ts';

const hosts = 10;
/** A hundred paths of 400 KiB that do not compress, three of them the host's own. */
const paths = 100;
const own = 3;
const pathBytes = 400 * 1024;

export interface PoolFigures {
  readonly oneHostBytes: number;
  readonly tenHostsBytes: number;
  readonly bundlesBytes: number;
  /** Seconds, flushed and read back. */
  readonly put: number;
  /** Seconds, `cp` of the ten bundles, flushed. */
  readonly copy: number;
}

async function sizeOf(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((e) => e.isFile()).map((e) => stat(join(e.parentPath, e.name)));
  return (await Promise.all(files)).reduce((sum, { size }) => sum + size, 0);
}

export async function measurePool(
  place: string,
  { builder, key }: { builder: Builder; key: Key },
): Promise<PoolFigures> {
  const flake = join(place, 'fleet');
  await copySample(flake);
  const part = (name: string) =>
    `n: derivation { name = "${name}-\${toString n}"; system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin:/run/current-system/sw/bin"; args = [ "-c" "head -c ${pathBytes} /dev/urandom >$out" ]; }`;
  const list = (name: string, count: number) => `builtins.genList (${part(name)}) ${count}`;
  const systems = Array.from(
    { length: hosts },
    (_, i) =>
      `h${i} = mkSystem { hostName = "h${i}"; motd = toString ((${list('common', paths - own)}) ++ (${list(`h${i}`, own)})); };`,
  );
  await writeFile(
    join(flake, 'flake.nix'),
    `{ outputs = { self }: let mkSystem = import ./system.nix; in { nixosConfigurations = { ${systems.join('\n')} }; }; }`,
  );
  const out = join(place, 'fleet-out');
  must(await builder.nixmaker(['build', '-f', `path:${flake}`, '-d', out, '--key', key.file]));
  const bundles = Array.from({ length: hosts }, (_, i) => join(out, `h${i}`, `h${i}.tar`));
  const medium = async (name: string) => {
    const folder = join(place, name);
    await mkdir(folder);
    return folder;
  };
  const one = await medium('one');
  must(await builder.nixmaker(['put', one, bundles[0] ?? '']));
  const ten = await medium('ten');
  const put = await seconds(async () => must(await builder.nixmaker(['put', ten, ...bundles])));
  const copies = await medium('copies');
  const copy = await seconds(async () => {
    for (const bundle of bundles) await cp(bundle, join(copies, `${bundles.indexOf(bundle)}.tar`));
    must(await run('sync', ['--file-system', copies]));
  });
  const figures = {
    oneHostBytes: await sizeOf(one),
    tenHostsBytes: await sizeOf(ten),
    bundlesBytes: await sizeOf(copies),
    put,
    copy,
  };
  for (const folder of [one, ten, copies, out]) await rm(folder, { recursive: true, force: true });
  return figures;
}
