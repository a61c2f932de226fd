/** What the desk says of its fleet: absence, damage and a reinstalled machine are told, and are never “well”. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeWorkplace } from '../support/fleet.ts';
import { manifestText } from '../support/manifests.ts';
import { committed, install, lay, nixmaker, nowOf } from '../support/receipts.ts';

const place = await makeWorkplace();

interface Told {
  readonly host: string;
  readonly condition: string;
  readonly reasons: readonly string[];
  readonly release?: number;
  readonly floor?: number;
  readonly receipts: number;
  readonly unreadable: number;
  readonly last?: { readonly number: number };
}

/** A stick and a fleet’s folder, and the verbs on them. */
async function scene() {
  const folder = await mkdtemp(join(place, 'scene-'));
  const [medium, fleet] = [join(folder, 'stick'), join(folder, 'fleet')];
  const ok = async (...args: string[]) => {
    const ran = await nixmaker(...args, '-d', fleet);
    assert.equal(ran.code, 0, ran.stdout + ran.stderr);
    return ran;
  };
  const told = async (...args: string[]) =>
    JSON.parse((await ok('fleet', '--json', ...args)).stdout) as {
      hosts: Told[];
      retired: { host: string; reason: string }[];
    };
  const collect = (...args: string[]) => ok('collect', medium, '--enrol', ...args);
  return { folder, medium, fleet, ok, told, collect };
}

test('hosts that have a bundle, are expected, or were enrolled are shown, though they never reported', async () => {
  const { folder, medium, fleet, ok, told, collect } = await scene();
  const web = install('web');
  await lay(medium, 'web', { '1.json': web.sign({ number: 1 }) });
  await collect();
  assert.deepEqual(
    (await told()).hosts.map((h) => [h.host, h.condition]),
    [['web', 'well']],
  );
  await ok('fleet', 'expect', 'mail', 'host-10', 'host-2');
  await writeFile(join(fleet, 'keys/lost.public'), `${install('lost').publicKey}\n`);
  const out = join(folder, 'out');
  for (const host of ['fresh', 'torn']) await mkdir(join(out, host), { recursive: true });
  await writeFile(join(out, 'fresh/manifest.json'), manifestText({ host: 'fresh', sequence: 4 }));
  await writeFile(join(out, 'torn/torn.tar'), 'half a bun');
  await writeFile(join(out, 'fleet.html'), 'not a host');
  const known = (await told('--bundles', out)).hosts;
  assert.deepEqual(
    known.map((h) => [h.host, h.condition]),
    [
      ['fresh', 'unknown'],
      ['host-2', 'unknown'],
      ['host-10', 'unknown'],
      ['lost', 'unknown'],
      ['mail', 'unknown'],
      ['torn', 'unknown'],
      ['web', 'well'],
    ],
  );
  const plain = await ok('fleet');
  assert.match(plain.stdout, /^mail +unknown +- +- /m);
  assert.match(plain.stdout, /^web +well +1 +1 +done +26\.05 /m);
  assert.match(plain.stderr, /^host-2, host-10, lost and mail: No receipts yet\.$/m);
  const page = join(folder, 'fleet.html');
  const written = await ok('fleet', '--html', page, '--bundles', out);
  assert.match(written.stderr, /^torn: cannot read its bundle in /m);
  const html = await readFile(page, 'utf8');
  assert.match(html, /<b>6<\/b> unknown/);
  assert.match(html, /<b>fresh<\/b>: has an unknown one, gets 4/);
  assert.doesNotMatch(html, /Nothing: every host/);
  assert.equal((await nixmaker('fleet', '-d', fleet, '--bundles', join(folder, 'no'))).code, 64);
});

test('a machine that went back shows what runs and what it had taken; one without a run is not well', async () => {
  const { medium, told, collect } = await scene();
  const [web, mail] = [install('web'), install('mail')];
  const files = Object.fromEntries(
    [1, 2, 3].map((n) => [`${n}.json`, web.sign({ number: n, run: committed(n), now: nowOf(n, n) })]),
  );
  const back = { ...committed(2), source: 'rollback', sequence: undefined };
  await lay(medium, 'web', {
    ...files,
    'run-0123456789ab.json': web.sign({ number: 4, run: back as never, now: nowOf(2, 3) }),
  });
  const none = { ...nowOf(1, 1), floor: undefined };
  await lay(medium, 'mail', { '0.json': mail.sign({ number: 1, run: undefined, now: none as never }) });
  await collect();
  const [mailTold, webTold] = (await told()).hosts;
  assert.deepEqual([webTold?.release, webTold?.floor, webTold?.condition], [2, 3, 'unwell']);
  assert.deepEqual([mailTold?.condition, mailTold?.reasons], ['unknown', ['It has not taken a bundle yet.']]);
});

test('a host’s details say what it is, how much room it has, and what it waits for', async () => {
  const { folder, medium, ok, collect } = await scene();
  const told = {
    ...{ generations: [4, 7], hardware: 'LENOVO <b>20KG</b>' },
    space: [
      { path: '/nix/store', freeBytes: 2 ** 30, totalBytes: 2 ** 40 },
      { path: '/boot', freeBytes: 2 ** 20, totalBytes: 2 ** 29 },
    ],
  };
  const wait = {
    path: 'web-5.tar',
    code: 'not-now',
    detail: 'the lathe runs',
    since: '2026-11-20T08:00:00Z',
  };
  const sent = { now: { ...nowOf(1, 1), ...told }, waits: { waits: [wait], more: 2 } };
  await lay(medium, 'web', { '1.json': install('web').sign({ number: 1, ...sent }) });
  await collect();
  const page = join(folder, 'fleet.html');
  await ok('fleet', '--html', page);
  const html = await readFile(page, 'utf8');
  for (const [label, value] of [
    ['Hardware', 'LENOVO &lt;b&gt;20KG&lt;/b&gt;'],
    ['Free', '/nix/store: 1 GiB of 1 TiB, /boot: 1 MiB of 512 MiB'],
    ['Generations', '4, 7'],
    ['Waits (its agent says)', 'web-5.tar: not-now (the lathe runs), since 2026-11-20 08:00 UTC; 2 more'],
  ])
    assert.ok(html.includes(`<dt>${label}</dt><dd>${value}</dd>`), `${label}: ${html}`);
});

test('a damaged receipt does not take its host away', async () => {
  const { medium, fleet, told, collect } = await scene();
  const web = install('web');
  await lay(medium, 'web', { '1.json': web.sign({ number: 1 }), '2.json': web.sign({ number: 2 }) });
  await collect();
  await writeFile(join(fleet, 'receipts/web/2.json'), 'half a rec');
  const [once] = (await told()).hosts;
  assert.deepEqual([once?.last?.number, once?.unreadable, once?.condition], [1, 1, 'unknown']);
  await writeFile(join(fleet, 'receipts/web/1.json'), '');
  const [twice] = (await told()).hosts;
  assert.deepEqual([twice?.host, twice?.last, twice?.condition], ['web', undefined, 'unknown']);
  await collect();
  assert.equal((await told()).hosts[0]?.condition, 'well', 'the stick still has them');
});

test('when a host was heard of is this desk’s time, not the machine’s', async () => {
  const { medium, fleet, told, collect } = await scene();
  const web = install('web');
  for (const [number, at] of [
    [1, '2099-01-01T00:00:00Z'],
    [2, '1970-01-01T00:00:00Z'],
  ] as const) {
    await lay(medium, 'web', { [`${number}.json`]: web.sign({ number, at }) });
    await collect();
    assert.equal((await told()).hosts[0]?.condition, 'well', at);
    const collected = join(fleet, `receipts/web/${number}.collected`);
    await writeFile(collected, `${number} 2020-01-01T00:00:00Z\n`);
    assert.equal((await told()).hosts[0]?.condition, 'stale', at);
    await collect();
    assert.equal((await told()).hosts[0]?.condition, 'stale', 'what was there is not heard anew');
    await rm(collected);
    assert.equal((await told()).hosts[0]?.condition, 'unknown');
  }
});

test('a retired host is named no more, until it reports again or is expected', async () => {
  const { medium, ok, told, collect } = await scene();
  const web = install('web');
  await lay(medium, 'web', { '1.json': web.sign({ number: 1 }) });
  await collect();
  await ok('fleet', 'retire', 'web', '--reason', 'sold');
  const gone = await told();
  assert.deepEqual([gone.hosts, gone.retired[0]?.host, gone.retired[0]?.reason], [[], 'web', 'sold']);
  await collect();
  assert.deepEqual((await told()).hosts, [], 'an old stick changes nothing');
  await lay(medium, 'web', { '2.json': web.sign({ number: 2 }) });
  await collect();
  const [again] = (await told()).hosts;
  assert.deepEqual([again?.host, again?.condition], ['web', 'unknown']);
  await ok('fleet', 'expect', 'web');
  assert.equal((await told()).hosts[0]?.condition, 'well');
  assert.equal((await nixmaker('fleet', 'retire', '../keys/web', '--reason', 'x')).code, 1);
});

test('a reinstalled machine: the way out is named; its new key counts, and its numbers from 1', async () => {
  const { medium, fleet, told, collect } = await scene();
  const [before, after] = [install('web'), install('web')];
  await lay(medium, 'web', { '31.json': before.sign({ number: 331 }) });
  await collect();
  await lay(medium, 'web', { '1.json': after.sign({ number: 1 }) });
  const told1 = await nixmaker('collect', medium, '-d', fleet);
  assert.equal(told1.code, 65);
  assert.match(told1.stderr, /collect --replace HOST --reason TEXT/);
  assert.match(told1.stderr, /it is signed by web:\S+; \S+ has web:\S+\n.*\(host-key-changed\)/s);
  assert.equal((await nixmaker('collect', medium, '-d', fleet, '--replace', 'web')).code, 64);
  const replaced = await collect('--replace', 'web', '--reason', 'its disk died');
  assert.match(replaced.stderr, /^web: now trusting web:\S+ instead of web:/m);
  assert.match(replaced.stdout, /^web +1 +done +new$/m);
  assert.match(replaced.stdout, /^web +- +- +former$/m, 'and what the former key signed is no alarm');
  const [web] = (await told()).hosts;
  assert.deepEqual([web?.last?.number, web?.receipts, web?.condition], [1, 1, 'well']);
  const former = join(fleet, 'former/web');
  const [time = ''] = await readdir(former);
  assert.match(await readFile(join(former, time, 'replaced.json'), 'utf8'), /its disk died/);
  assert.deepEqual((await readdir(join(former, time, 'receipts'))).sort(), ['31.collected', '31.json']);
});

test('a machine whose receipts count from an earlier number again is not known, until a higher one or a new key comes', async () => {
  const { medium, fleet, told, collect } = await scene();
  const web = install('web');
  await lay(medium, 'web', { '30.json': web.sign({ number: 7 }), '31.json': web.sign({ number: 9 }) });
  await collect();
  const again = async (name: string, text: string) => {
    await lay(medium, 'web', { [name]: text });
    return nixmaker('collect', medium, '-d', fleet);
  };
  const condition = async () => (await told()).hosts[0]?.condition;
  // A stick that comes late.
  assert.equal((await again('29.json', web.sign({ number: 6 }))).code, 0);
  assert.equal(await condition(), 'well');
  const at = new Date().toISOString();
  const later = await again('31.json', web.sign({ number: 8, at }));
  assert.equal(later.code, 65);
  assert.match(later.stderr, /its number is 8, .*number 9 had been collected.*\(receipts-went-back\)/s);
  assert.match(later.stderr, /collect --replace HOST --reason TEXT/);
  assert.equal(await condition(), 'unknown');
  const twin = await again('31.json', web.sign({ number: 7, at }));
  assert.match(twin.stderr, /30\.json has the number 7 as well.*\(receipts-went-back\)/s);
  // A clock that is ahead of this desk’s tells nothing.
  const ahead = web.sign({ number: 5, at: '2999-01-01T00:00:00Z' });
  assert.equal((await again('31.json', ahead)).code, 0);
  assert.equal(await condition(), 'unknown', 'nothing newer has come');
  assert.equal((await again('31.json', web.sign({ number: 10, at }))).code, 0);
  assert.equal(await condition(), 'well');
});

test('which of two new keys is the machine’s, or whether there is one, is for a person to say', async () => {
  const { medium, fleet, told, collect } = await scene();
  const web = install('web');
  await lay(medium, 'web', { '1.json': web.sign({ number: 1 }) });
  await collect();
  const replace = () =>
    nixmaker('collect', medium, '-d', fleet, '--replace', 'web', '--reason', 'new disk', '--json');
  assert.match((await replace()).stdout, /no receipt from web there is signed by a new key/);
  await lay(medium, 'web', {
    '2.json': install('web').sign({ number: 1 }),
    '3.json': install('web').sign({ number: 1 }),
  });
  const ran = await replace();
  assert.equal(ran.code, 64);
  assert.match(ran.stdout, /signed by 2 new keys/);
  assert.equal((await told()).hosts[0]?.last?.number, 1);
  await mkdir(join(fleet, 'former'), { recursive: true });
  assert.deepEqual(await readdir(join(fleet, 'former')), []);
});
