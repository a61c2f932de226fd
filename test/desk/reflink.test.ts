/** On btrfs and xfs what is compressed is on the disk once: a pool shares its blocks with what the desk keeps of earlier builds. */
import assert from 'node:assert/strict';
import { mkdir, open, readdir, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { cacheOf } from '../../src/bundle/pool.ts';
import { makeBuilder } from '../machines/builder.ts';
import { nixSystem, run } from '../machines/program.ts';
import { makeKeys, makeWorkplace, writeFlake } from '../support/fleet.ts';

const mebi = 1024 * 1024;
/** One that is held in memory while it is compressed, and one that is not; and what is too small for a file of its own. */
const sizes = { middle: 4 * mebi, large: 20 * mebi, small: 100_000 };

const fileSystems = ['btrfs', 'xfs'] as const;
const mounted: string[] = [];
// Before the workplace goes.
after(async () => {
  for (const place of mounted) await sh('umount --lazy "$1"', place);
});
const folder = await makeWorkplace();

async function sh(script: string, ...args: readonly string[]): Promise<string> {
  const ran = await run('sh', ['-euc', script, 'sh', ...args]);
  assert.equal(ran.code, 0, `${script}: ${ran.stdout}${ran.stderr}`);
  return ran.stdout;
}

/** Before the desk’s namespace is made, which sees what is mounted then. */
async function mountNew(type: (typeof fileSystems)[number]): Promise<string> {
  const [image, place] = [join(folder, `${type}.image`), join(folder, type)];
  await (await open(image, 'w')).close();
  await truncate(image, 400 * mebi);
  const programs = process.env.NIXMAKER_MKFS === undefined ? '' : `${process.env.NIXMAKER_MKFS}/`;
  await sh(`"$1" ${type === 'xfs' ? '-q -m reflink=1' : '-q'} "$2"`, `${programs}mkfs.${type}`, image);
  await mkdir(place);
  await sh('mount -o loop "$1" "$2"', image, place);
  mounted.push(place);
  return place;
}

const asRoot = process.getuid?.() === 0 ? {} : { skip: 'mounting takes root' };
const places = asRoot.skip === undefined ? await Promise.all(fileSystems.map(mountNew)) : [];
const builder = await makeBuilder(join(folder, 'builder'));

const { secretFile } = await makeKeys(folder, 'fleet-1');

const random = (name: string, size: number) =>
  `derivation { name = "${name}"; system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin:/run/current-system/sw/bin"; args = [ "-c" "head -c ${size} /dev/urandom >$out" ]; }`;
const parts = Object.entries(sizes).map(([name, size]) => `\${${random(name, size)}}`);
const flake = await writeFlake(join(folder, 'flake'), {
  hosts: { web: `mkSystem { hostName = "web"; motd = "${parts.join(' ')}"; }` },
});

/** @returns the pieces on the medium, by size: the largest first */
async function put(medium: string, place: string) {
  await mkdir(medium);
  const args = ['put', medium, '-f', `path:${flake}`, '-d', join(place, 'out'), '--key', secretFile];
  const ran = await builder.nixmaker(args, { env: { XDG_CACHE_HOME: join(place, 'cache') } });
  assert.equal(ran.code, 0, ran.stdout + ran.stderr);
  const nars = join(cacheOf(medium), 'nar');
  const files = (await readdir(nars, { recursive: true, withFileTypes: true })).filter((e) => e.isFile());
  const measured = files.map(async ({ parentPath, name }) => {
    const path = join(parentPath, name);
    return { path, size: (await stat(path)).size };
  });
  return (await Promise.all(measured)).sort((a, b) => b.size - a.size);
}

/** Whether each extent is shared with another file (filefrag(8), of e2fsprogs, by FIEMAP). */
async function isShared(path: string): Promise<boolean> {
  const said = await sh('sync "$1"; filefrag -v "$1"', path);
  const extents = said.split('\n').filter((line) => /^\s*\d+:/.test(line));
  assert.ok(extents.length > 0, said);
  return extents.every((line) => /\bshared\b/.test(line));
}

for (const [i, type] of fileSystems.entries())
  test(
    `on ${type} a pool shares the blocks of what was just compressed, and of what was kept`,
    asRoot,
    async () => {
      const place = places[i] as string;
      for (const name of ['fresh', 'kept']) {
        const [large, middle, ...others] = await put(join(place, name), place);
        for (const piece of [large, middle])
          assert.ok(piece !== undefined && (await isShared(piece.path)), `${name}: ${JSON.stringify(piece)}`);
        assert.ok((others[0]?.size ?? 0) >= sizes.small);
      }
    },
  );

test('elsewhere the bytes are copied', asRoot, async () => {
  const [place] = places as [string];
  const there = await put(join(folder, 'elsewhere'), place);
  assert.deepEqual(
    there.slice(0, 2).map(({ size }) => size >= 4 * mebi),
    [true, true],
  );
});
