/** Rings at the desk, with the real verbs: whose turn it is follows from what was collected. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeWorkplace } from '../support/fleet.ts';
import { manifestText } from '../support/manifests.ts';
import { install, lay, nixmaker } from '../support/receipts.ts';

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
  return { medium, fleet, show };
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
