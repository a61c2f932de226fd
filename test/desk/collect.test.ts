/** What `collect` says of the receipts on a stick, and what of them is kept. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { collectReceipts } from '../../src/desk/fleet/collect.ts';
import { makeWorkplace } from '../support/fleet.ts';
import { install, lay, nixmaker } from '../support/receipts.ts';

const place = await makeWorkplace();

async function scene() {
  const folder = await mkdtemp(join(place, 'scene-'));
  const [medium, fleet] = [join(folder, 'stick'), join(folder, 'fleet')];
  const collect = async () => {
    const ran = await nixmaker('collect', medium, '--enrol', '-d', fleet);
    assert.equal(ran.code, 0, ran.stdout + ran.stderr);
  };
  return { medium, fleet, collect };
}

test('a receipt that can’t be stored is no news, and those beside it are', async () => {
  const { medium, fleet } = await scene();
  const web = install('web');
  const files = [1, 2, 3].map((number) => [`${number}.json`, web.sign({ number })] as const);
  await lay(medium, 'web', Object.fromEntries(files));
  await mkdir(join(fleet, 'receipts/web/3.json'), { recursive: true });
  const ran = await nixmaker('collect', medium, '--enrol', '-d', fleet, '--json');
  const { receipts } = JSON.parse(ran.stdout) as {
    receipts: { file: string; status: string; code?: string }[];
  };
  const expected = [
    ['1.json', 'new', undefined],
    ['2.json', 'new', undefined],
    ['3.json', 'rejected', 'io-error'],
  ];
  assert.deepEqual(
    receipts.map(({ file, status, code }) => [basename(file), status, code]),
    expected,
  );
  const shown = await nixmaker('fleet', '--json', '-d', fleet);
  const { hosts } = JSON.parse(shown.stdout) as { hosts: { last?: { number: number } }[] };
  assert.equal(hosts[0]?.last?.number, 2);
});

test('of a host with more known receipts than are kept, the rest is one line', async () => {
  const { medium, fleet, collect } = await scene();
  const web = install('web');
  const files = Object.fromEntries(
    Array.from({ length: 70 }, (_, i) => [`${i + 1}.json`, web.sign({ number: i + 1 })]),
  );
  await lay(medium, 'web', files);
  await collect();
  const again = await nixmaker('collect', medium, '-d', fleet, '--json');
  const { receipts } = JSON.parse(again.stdout) as { receipts: { status: string; files?: number }[] };
  assert.deepEqual(
    receipts.filter((r) => r.files !== undefined).map(({ status, files: of }) => [status, of]),
    [['older', 6]],
  );
  assert.equal(receipts.length, 65);
  const text = await nixmaker('collect', medium, '-d', fleet);
  assert.match(text.stdout, /^web .* 6 more, known or older$/m);
});

test('of many hosts only so many known receipts are listed; each of the other hosts has one line', async () => {
  const { medium, fleet, collect } = await scene();
  for (const host of ['a', 'b', 'c']) {
    const machine = install(host);
    await lay(medium, host, { '1.json': machine.sign({ number: 1 }), '2.json': machine.sign({ number: 2 }) });
  }
  await collect();
  const options = { media: [medium], directory: fleet, enrol: false, now: new Date() };
  const again = await collectReceipts({ ...options, mostListed: 3 });
  assert.deepEqual(
    again.map(({ host, status, files }) => [host, status, files]),
    [
      ['a', 'known', undefined],
      ['a', 'known', undefined],
      ['b', 'older', 1],
      ['b', 'known', undefined],
      ['c', 'older', 2],
    ],
  );
});
