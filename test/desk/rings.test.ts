/** Rings at the desk, with the real verbs: whose turn it is follows from what was collected. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeTestBundle } from '../support/bundles.ts';
import { makeWorkplace } from '../support/fleet.ts';
import { manifestText } from '../support/manifests.ts';
import { committed, install, lay, nixmaker } from '../support/receipts.ts';

const place = await makeWorkplace();

async function scene(rings: unknown) {
  const folder = await mkdtemp(join(place, 'rings-'));
  const [medium, fleet, out] = [join(folder, 'stick'), join(folder, 'fleet'), join(folder, 'out')];
  await mkdir(fleet);
  await writeFile(join(fleet, 'rings.json'), typeof rings === 'string' ? rings : JSON.stringify(rings));
  for (const host of ['lab', 'ship']) {
    await mkdir(join(out, host), { recursive: true });
    await writeFile(join(out, host, 'manifest.json'), manifestText({ host, sequence: 4 }));
  }
  const show = (...args: string[]) => nixmaker('fleet', '-d', fleet, '--bundles', out, ...args);
  return { folder, medium, fleet, show };
}

const rings = {
  schema: 1,
  rings: [
    { name: 'canary', hosts: ['lab'] },
    { name: 'rest', hosts: ['*'] },
  ],
};

test('the next ring waits until the one before has committed what is here, and `fleet` says so', async () => {
  const { medium, fleet, show } = await scene(rings);
  const waits = await show();
  assert.match(waits.stderr, /^ring rest waits: 0 of 1 hosts of ring “canary” have committed this release$/m);
  await lay(medium, 'lab', { '4.json': install('lab').sign({ number: 4 }) });
  assert.equal((await nixmaker('collect', medium, '--enrol', '-d', fleet)).code, 0);
  const due = await show();
  assert.doesNotMatch(due.stderr, /waits/);
  const { hosts } = JSON.parse((await show('--json')).stdout) as { hosts: { host: string; ring: string }[] };
  assert.deepEqual(
    hosts.map((h) => [h.host, h.ring]),
    [
      ['lab', 'canary'],
      ['ship', 'rest'],
    ],
  );
});

test('rings that can’t be read are refused by name', async () => {
  const { fleet, show } = await scene('{');
  const ran = await show();
  assert.equal(ran.code, 64);
  assert.ok(ran.stderr.includes(`${fleet}/rings.json: `), ran.stderr);
});

test('`put` leaves out whose turn has not come, and says why; --all-rings puts all', async () => {
  const { folder, medium, fleet } = await scene(rings);
  const bundles: string[] = [];
  for (const host of ['lab', 'ship', 'mast']) {
    bundles.push(join(folder, `${host}.tar`));
    await writeTestBundle(bundles.at(-1) ?? '', { manifest: { host, sequence: 4 } });
  }
  await writeFile(
    join(fleet, 'rings.json'),
    JSON.stringify({
      schema: 1,
      rings: [
        { name: 'canary', hosts: ['lab'] },
        { name: 'rest', hosts: ['ship'] },
      ],
    }),
  );
  await mkdir(medium, { recursive: true });
  const put = (...args: string[]) =>
    nixmaker('put', medium, '--plain-folder', '--fleet', fleet, '--json', ...args);
  const told = (text: string) =>
    JSON.parse(text) as {
      hosts: { host: string }[];
      leftOut: { host: string; ring?: string; why: string }[];
    };
  const first = told((await put(...bundles)).stdout);
  assert.deepEqual(
    first.hosts.map((h) => h.host),
    ['lab'],
  );
  assert.deepEqual(first.leftOut, [
    { host: 'ship', ring: 'rest', why: '0 of 1 hosts of ring “canary” have committed this release' },
    { host: 'mast', why: 'it is in no ring' },
  ]);
  const alone = await nixmaker('put', medium, '--plain-folder', '--fleet', fleet, join(folder, 'ship.tar'));
  assert.equal(alone.code, 0);
  assert.match(alone.stderr, /^ship: left out, ring rest: no bundle for a host of ring “canary” is here/m);
  assert.match(alone.stderr, /^Nothing was put\.$/m);
  await lay(medium, 'lab', { '4.json': install('lab').sign({ number: 4 }) });
  assert.equal((await nixmaker('collect', medium, '--enrol', '-d', fleet)).code, 0);
  assert.deepEqual(
    told((await put(...bundles)).stdout).hosts.map((h) => h.host),
    ['lab', 'ship'],
  );
  assert.deepEqual(
    told((await put('--all-rings', ...bundles)).stdout).hosts.map((h) => h.host),
    ['lab', 'mast', 'ship'],
  );
  const flake = await put('--flake', folder, '--key', 'none');
  assert.equal(flake.code, 64);
  assert.match(flake.stdout, /build first and put the bundles of all rings/);
});

test('a host of the ring before whose operator has gone back from the release did not keep it', async () => {
  const { medium, fleet, show } = await scene(rings);
  const lab = install('lab');
  const { sequence: _, ...run } = committed(4);
  await lay(medium, 'lab', {
    '4.json': lab.sign({ number: 4 }),
    '5.json': lab.sign({ number: 5, run: { ...run, targetGeneration: 1, rolledBackFrom: 4 } }),
  });
  assert.equal((await nixmaker('collect', medium, '--enrol', '-d', fleet)).code, 0);
  assert.match(
    (await show()).stderr,
    /^ring rest waits: lab of ring “canary” did not keep release 4 \(rolled-back\)$/m,
  );
});
