import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { settingsParser } from '../../src/core/policy/settings.ts';
import type { RunEvent } from '../../src/core/ports.ts';
import { makeTrustSet } from '../../src/signing/verify.ts';
import type { Machine } from '../../src/target/machine/machine.ts';
import { MediaQueue } from '../../src/target/media/queue.ts';
import { pair, temporaryFolder, writeTestBundle } from '../support/bundles.ts';
import { policy } from '../support/manifests.ts';

test('a copy in progress is looked at again after a while, less often while nothing comes, and no more once it is gone', async (t) => {
  const folder = await temporaryFolder(t);
  const stick = join(folder, 'stick');
  await mkdir(stick);
  const bundle = join(stick, 'web.tar');
  await writeTestBundle(bundle);
  await truncate(bundle, 9000);
  let now = 0;
  const table = { filesystems: [{ target: stick, source: 'stick', fstype: 'vfat', 'maj:min': '0:99' }] };
  // Only what a queue that never gets to a decision asks of a machine.
  const machine = {
    settings: settingsParser.parse({ media: { roots: [folder] } }),
    policy,
    trust: makeTrustSet([pair.public], 1),
    clock: { monotonic: () => now, now: () => new Date(now), sleep: () => new Promise(() => undefined) },
    emit: () => undefined,
    run: () =>
      Promise.resolve({
        exitCode: 0,
        stdout: JSON.stringify(table),
        stderrTail: [],
        timedOut: false,
        startError: undefined,
      }),
  } as unknown as Machine;
  const queue = new MediaQueue(machine, {
    looking: (_candidate, work) => work(),
    whySetAside: async () => undefined,
  });
  assert.equal(await queue.next(), undefined);
  assert.equal(queue.due(), 30_000);
  now = 30_000;
  assert.equal(queue.due(), 0);
  assert.equal(await queue.next(), undefined);
  assert.equal(queue.due(), 60_000, 'nothing has come meanwhile');
  await truncate(bundle, 9100);
  assert.equal(await queue.next(), undefined);
  assert.equal(queue.due(), 30_000, 'it goes on');
  await rm(bundle);
  assert.equal(await queue.next(), undefined);
  assert.equal(queue.due(), undefined);
});

test('a medium that nixmaker has mounted gets its last word, once, also where it has nothing for this machine', async (t) => {
  const folder = await temporaryFolder(t);
  const stick = join(folder, 'own', 'sdb1');
  const foreign = join(folder, 'others', 'STICK');
  for (const path of [stick, foreign]) await mkdir(path, { recursive: true });
  const target = (path: string, device: string) => ({
    target: path,
    source: 'x',
    fstype: 'vfat',
    'maj:min': device,
  });
  const table = { filesystems: [target(stick, '0:99'), target(foreign, '0:98')] };
  const machine = {
    settings: settingsParser.parse({
      media: { roots: [join(folder, 'others')], directory: join(folder, 'own') },
    }),
    policy: { ...policy, media: { ...policy.media, mount: true } },
    clock: { monotonic: () => 0, now: () => new Date(0), sleep: () => new Promise(() => undefined) },
    emit: () => undefined,
    run: async () => ({ exitCode: 0, stdout: JSON.stringify(table), stderrTail: [] }),
  } as unknown as Machine;
  const queue = new MediaQueue(machine, {
    looking: (_candidate, work) => work(),
    whySetAside: async () => undefined,
  });
  assert.equal(await queue.next(), undefined);
  const told = queue.finished().map(({ place, findings, without }) => [place.root, findings.length, without]);
  assert.deepEqual(told, [[stick, 0, 'nothing']], 'nobody was told anything of the other');
  assert.equal(await queue.next(), undefined);
  assert.deepEqual(queue.finished(), [], 'once');
});

test('what has not the name of a bundle on a medium is told of once, and so is whoever plugged it in', async (t) => {
  const folder = await temporaryFolder(t);
  const [mine, others] = [join(folder, 'own', 'sda1'), join(folder, 'own', 'sdb1')];
  for (const path of [mine, others]) await mkdir(path, { recursive: true });
  await writeFile(join(mine, 'web (1).tar.zip'), 'PK');
  await writeFile(join(others, 'first.tar.zip'), 'PK');
  await writeFile(join(others, 'holiday.jpg'), 'x'.repeat(4000));
  const { queue, events } = queueOf({ folder, own: [mine, others] });
  for (let look = 0; look < 3; look++) assert.equal(await queue.next(), undefined);
  const told = queue.finished().map(({ place, findings, without }) => ({
    ...{ place: place.root, without },
    found: findings.map(({ file, code }) => `${file} ${code}`),
  }));
  assert.deepEqual(told, [
    // By its name it is for this host, and so there is a receipt.
    { place: mine, without: undefined, found: ['web (1).tar.zip misnamed'] },
    { place: others, without: 'misnamed', found: ['first.tar.zip misnamed'] },
  ]);
  assert.deepEqual(queue.finished(), [], 'once');
  assert.deepEqual(
    events.map(({ event, source }) => `${event} ${relative(folder, String(source))}`),
    ['passed-over own/sda1/web (1).tar.zip', 'passed-over own/sdb1/first.tar.zip'],
  );
});

test('a pool that is called otherwise is told of where it has something for this host', async (t) => {
  const folder = await temporaryFolder(t);
  const stick = join(folder, 'own', 'sda1');
  for (const [name, host] of [
    ['Nixmaker', policy.host],
    ['nixmaker (1)', policy.host],
    ['nixmaker-2', 'another'],
    ['nixmakers', policy.host],
    ['nixmaker', policy.host],
  ] as const)
    await mkdir(join(stick, name, 'hosts', host), { recursive: true });
  const { queue, events } = queueOf({ folder, own: [stick] });
  for (let look = 0; look < 3; look++) assert.equal(await queue.next(), undefined);
  const [visit] = queue.finished();
  assert.deepEqual(visit?.findings.map(({ file, code }) => `${file} ${code}`).sort(), [
    'Nixmaker misnamed',
    'nixmaker (1) misnamed',
  ]);
  assert.equal(visit?.without, undefined, 'a receipt says so at the desk');
  assert.deepEqual(
    events.map(({ event, source, detail }) => [event, relative(stick, String(source)), detail]).sort(),
    ['Nixmaker', 'nixmaker (1)'].map((name) => [
      'passed-over',
      name,
      'it is the folder of a medium, and is not called `nixmaker`',
    ]),
  );
});

test('where a file system does not tell capitals apart, a pool has its name', async (t) => {
  const folder = await temporaryFolder(t);
  const stick = join(folder, 'own', 'sda1');
  await mkdir(join(stick, 'Nixmaker/hosts', policy.host), { recursive: true });
  // As FAT answers: another name for the same folder.
  const bound = spawnSync('sh', [
    '-euc',
    'mkdir "$1/nixmaker"; mount --bind "$1/Nixmaker" "$1/nixmaker"',
    'sh',
    stick,
  ]);
  assert.equal(bound.status, 0, String(bound.stderr));
  const { queue, events } = queueOf({ folder, own: [stick] });
  assert.equal(await queue.next(), undefined);
  spawnSync('umount', [join(stick, 'nixmaker')]);
  assert.deepEqual(events, []);
});

test('what a bundle on a medium waits for is tried less and less often, up to a quarter of an hour', async (t) => {
  const folder = await temporaryFolder(t);
  const stick = join(folder, 'own', 'sda1');
  await mkdir(stick, { recursive: true });
  const path = join(stick, 'web.tar');
  await writeTestBundle(path);
  const { queue, time } = queueOf({ folder, own: [stick] });
  // As the taker does with one that was judged good.
  const found = {
    place: { kind: 'own', root: stick, id: placeId(stick) },
    candidate: { format: 'bundle', path },
  } as const;
  await queue.next();
  const pauses: (number | undefined)[] = [];
  for (let n = 0; n < 12; n++) {
    queue.defer({ ...found, fingerprint: 'as it is', sequence: 1 }, { code: 'no-space', detail: 'none' });
    pauses.push(queue.due());
    time.passes(queue.due() ?? 0);
  }
  assert.deepEqual(pauses.slice(0, 4), [2000, 4000, 8000, 16_000]);
  assert.deepEqual(pauses.slice(-2), [900_000, 900_000]);
  const [wait] = queue.waits();
  assert.deepEqual(
    [wait?.path, wait?.code, wait?.tries, wait?.since],
    [path, 'no-space', 12, new Date(0).toISOString()],
  );
  queue.defer({ ...found, fingerprint: 'another', sequence: 2 }, { code: 'no-space', detail: 'none' });
  assert.equal(queue.due(), 2000, 'another file of that name');
});

/** Media that nixmaker has mounted, and a queue over them. */
function queueOf({ folder, own }: { folder: string; own: readonly string[] }) {
  const events: RunEvent[] = [];
  let now = 0;
  const filesystems = own.map((target) => ({
    target,
    source: 'x',
    fstype: 'vfat',
    'maj:min': deviceOf(target),
  }));
  const machine = {
    settings: settingsParser.parse({ media: { directory: join(folder, 'own') } }),
    policy: { ...policy, media: { ...policy.media, mount: true } },
    trust: makeTrustSet([pair.public], 1),
    clock: { monotonic: () => now, now: () => new Date(now), sleep: () => new Promise(() => undefined) },
    emit: (event: RunEvent) => events.push(event),
    run: async () => ({ exitCode: 0, stdout: JSON.stringify({ filesystems }), stderrTail: [] }),
  } as unknown as Machine;
  const queue = new MediaQueue(machine, { looking: (_, work) => work(), whySetAside: async () => undefined });
  const passes = (milliseconds: number) => {
    now += milliseconds;
  };
  return { queue, events, time: { passes } };
}

const deviceOf = (target: string) => `0:${90 + Number(target.includes('sdb'))}`;
const placeId = (target: string) => `${deviceOf(target)} x ${target}`;
