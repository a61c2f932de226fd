import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policyParser } from '../../src/core/policy/policy.ts';
import type { Clock, HeardProcess } from '../../src/core/ports.ts';
import { isAllowedSource, listMounts, mediaAmong } from '../../src/media/mounts.ts';
import { watchMounts } from '../../src/media/watch-mounts.ts';
import { runProgram } from '../../src/process/run.ts';

const mount = (target: string, source = '/dev/sdb1') => ({
  target,
  source,
  fileSystem: 'vfat',
  device: '8:17',
  readOnly: false,
  options: ['rw'],
  label: 'UPDATE',
  uuid: '1234-ABCD',
});

test('media are the mounts at or below a root, and never those beside it', () => {
  const mounts = [
    mount('/'),
    mount('/run/media'),
    mount('/run/media/anna/My Stick'),
    mount('/run/mediaplayer'),
    mount('/mnt/a', '/dev/sdc1'),
    mount('/mnt/a', '/dev/sdd1'),
  ];
  assert.deepEqual(
    mediaAmong(mounts, ['/run/media', '/mnt']).map((m) => `${m.source} ${m.target}`),
    ['/dev/sdb1 /run/media', '/dev/sdb1 /run/media/anna/My Stick', '/dev/sdd1 /mnt/a'],
    'of two mounts in one place the one on top counts',
  );
  assert.deepEqual(mediaAmong(mounts, []), []);
});

test('of media only those that the policy names are sources', () => {
  const stick = mount('/run/media/anna/UPDATE');
  const any = policyParser.parse({
    schema: 1,
    host: 'web',
    operation: 'switch',
    trustedKeys: ['k:x'],
  }).sources;
  for (const [sources, expected] of [
    [{}, true],
    [{ media: false }, false],
    [{ labels: ['UPDATE', 'OTHER'] }, true],
    [{ labels: ['OTHER'] }, false],
    [{ uuids: ['1234-ABCD'], fileSystems: ['vfat'], roots: ['/run/media/anna'] }, true],
    [{ uuids: ['1234-abcd'] }, false],
    [{ fileSystems: ['ext4'] }, false],
    [{ roots: ['/run/media/ann'] }, false],
  ] as const)
    assert.equal(
      isAllowedSource(stick, { ...any, ...sources } as typeof any),
      expected,
      JSON.stringify(sources),
    );
  assert.equal(isAllowedSource({ ...stick, label: '' }, { ...any, labels: ['UPDATE'] }), false);
});

test('the table of this very machine can be read', async () => {
  const mounts = await listMounts(runProgram);
  assert.ok(mounts.some((m) => m.target === '/'));
});

test('a findmnt that ends is started again, more and more slowly, and what was missed is looked for', async () => {
  const pauses: number[] = [];
  let enough: () => void = () => undefined;
  const done = new Promise<void>((resolve) => {
    enough = resolve;
  });
  const clock: Clock = {
    now: () => new Date(0),
    monotonic: () => 0,
    uptime: () => 0,
    kernel: () => 0,
    sleep: (milliseconds, signal) => {
      pauses.push(milliseconds);
      if (pauses.length < 8) return Promise.resolve();
      enough();
      return new Promise((_resolve, reject) =>
        signal?.addEventListener('abort', () => reject(new DOMException('', 'AbortError'))),
      );
    },
  };
  let hints = 0;
  const ended: HeardProcess = { ended: Promise.resolve(), stop: () => Promise.resolve() };
  const watch = watchMounts({ listen: () => ended, clock }, () => {
    hints += 1;
  });
  await done;
  await watch.close();
  assert.deepEqual(pauses, [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
  assert.equal(hints, 8);
});
