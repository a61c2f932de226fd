/** A machine that has turned against its desk: it may say anything of itself, with its own key, and no more than that. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { link, mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeWorkplace } from '../support/fleet.ts';
import { committed, install, lay, measured, nixmaker, nowOf } from '../support/receipts.ts';

const place = await makeWorkplace();
const scene = async () => {
  const folder = await mkdtemp(join(place, 'scene-'));
  return { medium: join(folder, 'stick'), fleet: join(folder, 'fleet') };
};
const mostNumber = Number.MAX_SAFE_INTEGER;

interface Told {
  readonly host: string;
  readonly receipts: number;
  readonly unreadable?: number;
  readonly last?: { readonly number: number };
}
const fleetOf = async (directory: string): Promise<Told[]> => {
  const ran = await nixmaker('fleet', '-d', directory, '--json');
  assert.equal(ran.code, 0, ran.stderr);
  return (JSON.parse(ran.stdout) as { hosts: Told[] }).hosts;
};
const collect = async (medium: string, fleet: string, ...args: string[]) => {
  const ran = await nixmaker('collect', medium, '-d', fleet, '--json', ...args);
  const { receipts = [] } = JSON.parse(ran.stdout) as {
    receipts?: { file: string; status: string; code?: string; detail?: string }[];
  };
  return { ...ran, receipts };
};

test('a number counts for the key it was signed with: a former key’s, however high, is not the newest', async () => {
  const { medium, fleet } = await scene();
  const [former, present] = [install('web'), install('web')];
  await lay(medium, 'web', { '9.json': former.sign({ number: mostNumber }) });
  assert.equal((await collect(medium, fleet, '--enrol')).code, 0);
  await writeFile(join(fleet, 'keys/web.public'), `${present.publicKey}\n`);
  const again = join(medium, 'again');
  await lay(again, 'web', { '1.json': present.sign({ number: 1 }), '9.json': present.sign({ number: 2 }) });
  const collected = await collect(again, fleet);
  assert.deepEqual(
    collected.receipts.map((r) => r.status),
    ['new', 'new'],
  );
  const [web] = await fleetOf(fleet);
  assert.equal(web?.last?.number, 2);
});

test('nothing of a payload is read before its signature', async () => {
  const { medium, fleet } = await scene();
  const [web, stranger] = [install('web'), install('web')];
  await lay(medium, 'web', { '1.json': web.sign({ number: 1 }) });
  assert.equal((await collect(medium, fleet, '--enrol')).code, 0);
  await lay(medium, 'web', {
    '2.json': stranger.signBytes('['.repeat(1_000_000)),
    '3.json': stranger.signBytes('{"schema":1,"host":"mail"}'),
    '4.json': web.signBytes('{"schema":1}'),
  });
  const { receipts } = await collect(medium, fleet);
  const said = receipts.map((r) => `${r.code}: ${r.detail}`);
  assert.match(
    said.find((s) => /not signed by/.test(s)) ?? '',
    /^receipt-malformed: it is not signed by web /,
  );
  assert.equal(said.filter((s) => /not signed by/.test(s)).length, 2, said.join('\n'));
});

test('large receipts, many of them: the desk’s memory and folder stay small, and the newest counts', async () => {
  const { medium, fleet } = await scene();
  const web = install('web');
  const large = (number: number) =>
    web.sign({
      number,
      now: {
        ...nowOf(number, number),
        paths: {
          toplevel: nowOf(1, 1).running as never,
          count: 1,
          gzip: randomBytes(3_000_000).toString('base64'),
        },
      },
    });
  await lay(medium, 'web', { '1.json': large(1) });
  assert.equal((await collect(medium, fleet, '--enrol')).code, 0);
  // As an earlier version may have kept them; one file with many names, so that this test is small.
  for (let i = 2; i <= 40; i++)
    await link(join(fleet, 'receipts/web/1.json'), join(fleet, `receipts/web/${i}.json`));
  const told = await measured('fleet', '-d', fleet);
  assert.equal(told.code, 0, told.stderr);
  assert.ok(told.mebibytes < 270, `${told.mebibytes} MiB`);
  const folder = join(medium, 'nixmaker/receipts/web');
  await rm(folder, { recursive: true });
  await lay(
    medium,
    'web',
    Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`${i + 200}.json`, large(i + 200)])),
  );
  const ran = await measured('collect', medium, '-d', fleet);
  assert.equal(ran.code, 0, ran.stderr);
  assert.ok(ran.mebibytes < 270, `${ran.mebibytes} MiB`);
  const kept = await readdir(join(fleet, 'receipts/web'));
  const bytes = (await Promise.all(kept.map((n) => stat(join(fleet, 'receipts/web', n)))))
    .map((s) => s.size)
    .reduce((a, b) => a + b, 0);
  assert.ok(bytes <= 33 * 1024 ** 2, `${bytes} bytes in ${kept.length} files`);
  assert.equal((await fleetOf(fleet))[0]?.last?.number, 207);
});

test('of more receipts than are kept, those with the highest numbers are; taking them again changes nothing', async () => {
  const { medium, fleet } = await scene();
  const web = install('web');
  // In the order of their names the newest comes last.
  await lay(
    medium,
    'web',
    Object.fromEntries(
      Array.from({ length: 1100 }, (_, i) => [
        `${5000 + i}.json`,
        web.sign({ number: i + 1, run: committed(5000 + i), now: nowOf(5000 + i, 5000 + i) }),
      ]),
    ),
  );
  assert.equal((await collect(medium, fleet, '--enrol')).code, 0);
  const [told] = await fleetOf(fleet);
  assert.equal(told?.last?.number, 1100);
  assert.ok((told?.receipts ?? 0) <= 64, `${told?.receipts} are kept`);
  const again = await collect(medium, fleet);
  assert.deepEqual([...new Set(again.receipts.map((r) => r.status))].sort(), ['known', 'older']);
});

test('links, devices and files in the wrong place on a medium lead nowhere, and are told of', async () => {
  const { medium, fleet } = await scene();
  const [web, mail] = [install('web'), install('mail')];
  const elsewhere = join(medium, 'elsewhere');
  await lay(elsewhere, 'web', { '1.json': web.sign({ number: 1 }) });
  await mkdir(join(medium, 'nixmaker/receipts'), { recursive: true });
  await symlink(join(elsewhere, 'nixmaker/receipts/web'), join(medium, 'nixmaker/receipts/web'));
  await symlink('/dev/zero', join(await lay(medium, 'mail', {}), '1.json'));
  await lay(medium, 'mail', { '2.json': mail.sign({ number: 1 }), '3.json': web.sign({ number: 1 }) });
  await mkdir(join(medium, 'nixmaker/receipts/mail/4.json'));
  const ran = await collect(medium, fleet, '--enrol');
  assert.notEqual(ran.code, 0);
  assert.deepEqual(ran.receipts.map((r) => `${r.file.slice(medium.length + 19)} ${r.status}`).sort(), [
    'mail/1.json rejected',
    'mail/2.json new',
    'mail/3.json rejected',
    'mail/4.json rejected',
    'web rejected',
  ]);
  assert.deepEqual(await readdir(join(fleet, 'receipts')), ['mail']);
});

test('a medium that is not there, and a file in the place of one, are not “no receipts”', async () => {
  const { medium, fleet } = await scene();
  for (const missing of [medium, join(place, 'a file')]) {
    if (missing !== medium) await writeFile(missing, '');
    const ran = await nixmaker('collect', missing, '-d', fleet, '--json');
    assert.notEqual(ran.code, 0, missing);
    assert.match(ran.stdout, /"ok": false/);
    assert.match(ran.stdout, /no-medium.*\n.*is the medium mounted/);
  }
  const good = join(medium, 'good');
  await lay(good, 'web', { '1.json': install('web').sign({ number: 1 }) });
  const both = await nixmaker('collect', join(medium, 'gone'), good, '-d', fleet, '--enrol');
  assert.notEqual(both.code, 0);
  assert.match(both.stdout, /^web +1 +done +new, host enrolled$/m, 'and the other one is collected');
  assert.match(both.stderr, /gone is not a folder; is the medium mounted\?\n.*\(no-medium\)/s);
});
