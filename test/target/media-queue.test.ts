import assert from 'node:assert/strict';
import { mkdir, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { settingsParser } from '../../src/core/policy/settings.ts';
import { makeTrustSet } from '../../src/signing/verify.ts';
import type { Machine } from '../../src/target/machine/machine.ts';
import { MediaQueue } from '../../src/target/media/queue.ts';
import { pair, temporaryFolder, writeTestBundle } from '../support/bundles.ts';
import { policy } from '../support/manifests.ts';

test('a copy in progress is looked at again after a while, and no more once it is gone', async (t) => {
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
  assert.equal(queue.due(), 30_000, 'still incomplete');
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
