/**
 * Two desks that lay their folders into one, by git or by cp, in whichever order: what is lost by that is told, what counts is as new as
 * it can be, and collecting again makes it whole.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeWorkplace } from '../support/fleet.ts';
import { committed, install, lay, nixmaker, nowOf } from '../support/receipts.ts';

const place = await makeWorkplace();

interface Told {
  readonly host: string;
  readonly condition: string;
  readonly reasons: readonly string[];
  readonly receipts: number;
  readonly unreadable: number;
  readonly collected?: string;
  readonly last?: { readonly number: number };
}

async function scene() {
  const folder = await mkdtemp(join(place, 'scene-'));
  const [a, b, medium] = [join(folder, 'a'), join(folder, 'b'), join(folder, 'stick')];
  const stick = async (files: Readonly<Record<string, string>>, host = 'web') => {
    await rm(medium, { recursive: true, force: true });
    await lay(medium, host, files);
  };
  const collect = (fleet: string, ...args: string[]) => nixmaker('collect', medium, '-d', fleet, ...args);
  const told = async (fleet: string): Promise<Told[]> => {
    const ran = await nixmaker('fleet', '--json', '-d', fleet);
    assert.equal(ran.code, 0, ran.stderr);
    return (JSON.parse(ran.stdout) as { hosts: Told[] }).hosts;
  };
  return { folder, a, b, stick, collect, told };
}

const again = { ...committed(5), state: 'rolled-back' as const };

test('an older receipt laid over a newer of the same name is told, and collecting again mends it', async () => {
  const { a, b, stick, collect, told } = await scene();
  const web = install('web');
  await stick({ '5.json': web.sign({ number: 5, run: committed(5), now: nowOf(5, 5) }) });
  await collect(b, '--enrol');
  await stick({ '5.json': web.sign({ number: 9, run: again, now: nowOf(4, 4) }) });
  await collect(a, '--enrol');
  await cp(b, a, { recursive: true });
  const [over] = await told(a);
  assert.deepEqual([over?.last?.number, over?.condition], [5, 'unknown']);
  assert.match(over?.reasons.join('\n') ?? '', /^Its receipt 9 was here and is gone/m);
  assert.match((await collect(a)).stdout, /^web +5 +\S.*new$/m);
  const [mended] = await told(a);
  assert.deepEqual([mended?.last?.number, mended?.condition], [9, 'unwell']);
  // The other way round the newest is there, and nothing is missing.
  await cp(a, b, { recursive: true });
  const [other] = await told(b);
  assert.deepEqual([other?.last?.number, other?.condition], [9, 'unwell']);
});

test('both desks’ receipts together are one history', async () => {
  const { a, b, stick, collect, told } = await scene();
  const web = install('web');
  const mail = install('mail');
  await stick({ '1.json': web.sign({ number: 1 }), '2.json': web.sign({ number: 2 }) });
  await collect(a, '--enrol');
  await stick({ '3.json': web.sign({ number: 3 }) });
  await collect(b, '--enrol');
  await stick({ '1.json': mail.sign({ number: 1 }) }, 'mail');
  await collect(b, '--enrol');
  for (const [from, to] of [
    [b, a],
    [a, b],
  ] as const) {
    await cp(from, to, { recursive: true });
    assert.deepEqual(
      (await told(to)).map((h) => [h.host, h.last?.number, h.receipts, h.condition]),
      [
        ['mail', 1, 1, 'well'],
        ['web', 3, 3, 'well'],
      ],
    );
  }
});

test('a desk that does not know of a new installation, laid over one that does, brings no former key back', async () => {
  const { a, b, stick, collect, told } = await scene();
  const [before, after] = [install('web'), install('web')];
  await stick({ '31.json': before.sign({ number: 331 }) });
  await collect(a, '--enrol');
  await collect(b, '--enrol');
  await stick({ '1.json': after.sign({ number: 1 }) });
  const replaced = await collect(a, '--replace', 'web', '--reason', 'its disk died');
  assert.equal(replaced.code, 0, replaced.stderr);
  // The newer over the older: what the former key signed is no riddle.
  const newer = `${b}-newer`;
  await cp(b, newer, { recursive: true });
  await cp(a, newer, { recursive: true });
  const [fine] = await told(newer);
  assert.deepEqual([fine?.last?.number, fine?.unreadable, fine?.condition], [1, 0, 'well']);
  // The older over the newer.
  await cp(b, a, { recursive: true });
  const [back] = await told(a);
  assert.deepEqual([back?.last, back?.condition], [undefined, 'unknown']);
  assert.match(back?.reasons.join('\n') ?? '', /^The key stored for it here was replaced before/m);
  await stick({ '31.json': before.sign({ number: 331 }), '2.json': after.sign({ number: 2 }) });
  const unknown = await collect(a);
  assert.match(unknown.stdout, /^web +- +- +former$/m);
  assert.match(unknown.stderr, /\(host-not-enrolled\)/);
  assert.equal((await collect(a, '--enrol')).code, 0);
  const [mended] = await told(a);
  assert.deepEqual([mended?.last?.number, mended?.receipts, mended?.condition], [2, 2, 'well']);
});

test('a replacement that was cut off between its two halves is brought to its end by the same command', async () => {
  const { a, stick, collect, told } = await scene();
  const [before, after] = [install('web'), install('web')];
  await stick({ '31.json': before.sign({ number: 331 }) });
  await collect(a, '--enrol');
  await stick({ '1.json': after.sign({ number: 1 }) });
  assert.equal((await collect(a, '--replace', 'web', '--reason', 'its disk died')).code, 0);
  // As it was: the former key is on record, and still in its place.
  await writeFile(join(a, 'keys/web.public'), `${before.publicKey}\n`);
  const again = await collect(a, '--replace', 'web', '--reason', 'its disk died');
  assert.equal(again.code, 0, again.stderr);
  const [web] = await told(a);
  assert.deepEqual([web?.last?.number, web?.condition], [1, 'well']);
});

test('of what git can’t merge nothing counts as well, and collecting again mends it', async () => {
  const { folder, stick, collect, told } = await scene();
  const repository = join(folder, 'repository');
  const git = (...args: string[]) =>
    execFileSync('git', ['-C', repository, '-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  await mkdir(repository);
  git('init', '--quiet', '--initial-branch=a');
  const web = install('web');
  const fleet = join(repository, 'fleet');
  const commit = () => {
    git('add', '--all');
    git('commit', '--quiet', '--message', 'collected');
  };
  await stick({ '1.json': web.sign({ number: 1 }) });
  await collect(fleet, '--enrol');
  commit();
  git('checkout', '--quiet', '-b', 'b');
  const two = web.sign({ number: 2 });
  await stick({ '2.json': two, '5.json': web.sign({ number: 5, run: committed(5), now: nowOf(5, 5) }) });
  await collect(fleet);
  commit();
  git('checkout', '--quiet', 'a');
  await stick({ '2.json': two, '5.json': web.sign({ number: 9, run: again, now: nowOf(4, 4) }) });
  await collect(fleet);
  const heard = await readFile(join(fleet, 'receipts/web/2.collected'), 'utf8');
  commit();
  assert.throws(() => git('merge', '--quiet', 'b'), /CONFLICT|./);
  const [merged] = await told(fleet);
  assert.deepEqual([merged?.last?.number, merged?.unreadable, merged?.condition], [2, 1, 'unknown']);
  assert.match(merged?.reasons.join('\n') ?? '', /^Its receipt 9 was here/m);
  // Of the receipt that both have each has its time: the news is as old as the first.
  assert.match(await readFile(join(fleet, 'receipts/web/2.collected'), 'utf8'), /^<{7} /m);
  const first = heard.split(' ')[1]?.trim();
  assert.ok(merged?.collected !== undefined && Date.parse(merged.collected) < Date.parse(first ?? ''));
  await collect(fleet);
  const [mended] = await told(fleet);
  assert.deepEqual([mended?.last?.number, mended?.unreadable, mended?.condition], [9, 0, 'unwell']);
});

test('two keys for one host: whichever stays, what the other signed is told', async () => {
  const { a, b, stick, collect, told } = await scene();
  const [ours, theirs] = [install('web'), install('web')];
  await stick({ '1.json': ours.sign({ number: 1 }) });
  await collect(a, '--enrol');
  await stick({ '2.json': theirs.sign({ number: 7 }) });
  await collect(b, '--enrol');
  await cp(b, a, { recursive: true });
  const [web] = await told(a);
  assert.deepEqual([web?.last?.number, web?.unreadable, web?.condition], [7, 1, 'unknown']);
  await writeFile(
    join(a, 'keys/web.public'),
    `<<<<<<< a\n${ours.publicKey}\n=======\n${theirs.publicKey}\n>>>>>>> b\n`,
  );
  const [torn] = await told(a);
  assert.deepEqual([torn?.last, torn?.condition], [undefined, 'unknown']);
  assert.match((await collect(a)).stderr, /\(key-malformed\)/);
});
