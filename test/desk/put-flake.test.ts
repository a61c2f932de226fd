/** `put --flake`: from a flake onto a medium, with no bundle in between. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { cacheOf, hostsOf } from '../../src/bundle/pool.ts';
import { makeDesk } from '../support/desk.ts';
import { plainHost, writeFlake } from '../support/fleet.ts';

const { folder, keys, ok, nixmaker } = await makeDesk();

const flakeOf = (motd: string) =>
  writeFlake(join(folder, `flake-${motd}`), {
    hosts: { web: plainHost('web', motd), mail: plainHost('mail', motd) },
  });

async function emptyMedium(name: string): Promise<string> {
  const medium = join(folder, name);
  await mkdir(medium);
  return medium;
}

/** All files below it, by name. */
async function filesIn(root: string): Promise<Map<string, string>> {
  const all = await readdir(root, { recursive: true, withFileTypes: true });
  const files = all.filter((e) => e.isFile()).map((e) => join(e.parentPath, e.name));
  const read = files.map(
    async (f) => [f.slice(root.length), (await readFile(f)).toString('latin1')] as const,
  );
  return new Map((await Promise.all(read)).sort());
}

const put = async (medium: string, motd: string, out: string, ...args: string[]) =>
  ok(
    'put',
    medium,
    '-f',
    `path:${await flakeOf(motd)}`,
    '-d',
    join(folder, out),
    '--key',
    keys.secretFile,
    ...args,
  );

test('the medium is as if bundles had been built and put, and none was written', async () => {
  const [straight, byBundles] = [await emptyMedium('straight'), await emptyMedium('by-bundles')];
  const said = await put(straight, 'one', 'straight-out');
  assert.match(said, /^mail +1 .* written and read back$/m);
  assert.match(said, /^web +1 .* written and read back$/m);
  const out = join(folder, 'bundles-out');
  await ok('build', '-f', `path:${await flakeOf('one')}`, '-d', out, '--key', keys.secretFile);
  await ok('put', byBundles, join(out, 'web/web.tar'), join(out, 'mail/mail.tar'));
  for (const part of [hostsOf, cacheOf])
    assert.deepEqual(await filesIn(part(straight)), await filesIn(part(byBundles)));
  const written = [...(await filesIn(join(folder, 'straight-out'))).keys()];
  assert.deepEqual(
    written.filter((name) => /\.(tar|zst)$/.test(name)),
    [],
  );
});

test('sequences go on: what went onto a medium counts, for the next put and for a build', async () => {
  const medium = await emptyMedium('goes-on');
  const sequences = async () =>
    (await readdir(join(hostsOf(medium), 'web'))).filter((name) => name !== 'sequences');
  await put(medium, 'one', 'goes-on-out');
  await put(medium, 'one', 'goes-on-out');
  assert.deepEqual(await sequences(), ['1'], 'the same flake is the same release');
  await put(medium, 'two', 'goes-on-out');
  assert.deepEqual(await sequences(), ['2']);
  const out = join(folder, 'goes-on-out');
  const { hosts } = JSON.parse(
    await ok('build', '--json', '-f', `path:${await flakeOf('three')}`, '-d', out, '--key', keys.secretFile),
  ) as { hosts: { host: string; sequence: number }[] };
  assert.equal(hosts.find((h) => h.host === 'web')?.sequence, 3);
});

test('what was kept of an earlier build and has been altered is compressed anew', async () => {
  const medium = await emptyMedium('altered');
  await put(medium, 'altered', 'altered-1');
  const cache = join(folder, 'builder/cache/nixmaker/nars');
  for (const run of (await readdir(cache)).filter((name) => /^[0-9a-f]{32}$/.test(name))) {
    const pieces = join(cache, run, 'pieces');
    const bytes = await readFile(pieces);
    await writeFile(
      pieces,
      bytes.map((byte, i) => (i % 100 === 50 ? byte ^ 1 : byte)),
    );
  }
  const other = await emptyMedium('altered-again');
  await put(other, 'altered', 'altered-2');
  assert.deepEqual(await filesIn(cacheOf(other)), await filesIn(cacheOf(medium)));
});

test('a host that can’t be built keeps no other from the medium', async () => {
  const medium = await emptyMedium('one-fails');
  const flake = await writeFlake(join(folder, 'one-fails-flake'), {
    hosts: { bad: 'throw "not today"', web: plainHost('web') },
  });
  const flags = ['-f', `path:${flake}`, '-d', join(folder, 'one-fails-out'), '--key', keys.secretFile];
  const ran = await nixmaker('put', medium, ...flags);
  assert.notEqual(ran.code, 0);
  assert.match(ran.stderr, /^bad: .*not today/ms);
  assert.deepEqual(await readdir(hostsOf(medium)), ['web']);
});
