/** Reading from a medium that is slow, is pulled out, lies, or stops to answer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { BundleFile } from '../../../src/bundle/file.ts';
import { catalogue, isPassing } from '../../../src/core/catalogue.ts';
import { NixmakerError } from '../../../src/core/errors.ts';
import { settingsParser } from '../../../src/core/policy/settings.ts';
import type { Machine } from '../../../src/target/machine/machine.ts';
import { accessTo, fileWithDeadline, stalledReadsEnded } from '../../../src/target/update/medium-access.ts';

/** @param isOver whether the patience of the settings is over at once, or never */
function scene({ isOver = false, isOnMedium = true, path = '/media/x' } = {}) {
  const slept: number[] = [];
  const ended: AbortSignal[] = [];
  const machine = {
    settings: settingsParser.parse({ media: { patience: 7 } }),
    clock: {
      sleep: (milliseconds: number, signal: AbortSignal) => {
        slept.push(milliseconds);
        ended.push(signal);
        return isOver ? Promise.resolve() : new Promise(() => undefined);
      },
    },
  } as unknown as Pick<Machine, 'clock' | 'settings'>;
  return { access: accessTo(machine, isOnMedium ? { onMedium: true, path } : {}), slept, ended };
}

const never = () => new Promise<never>(() => undefined);
const failing = (error: unknown) => async () => {
  throw error;
};
const fromSystem = (code: string, more: object = {}) =>
  Object.assign(new Error(`${code}: i/o error, read`), { code, syscall: 'read', ...more });

test('a read that ends is what it was, and the patience with it is over', async () => {
  const { access, slept, ended } = scene();
  assert.equal(await access.withDeadline(async () => 'bytes'), 'bytes');
  assert.deepEqual([slept, ended[0]?.aborted], [[7000], true]);
});

test('a read that never ends is given up after the patience of the settings', async () => {
  const { access } = scene({ isOver: true });
  await assert.rejects(access.withDeadline(never), {
    code: 'medium-stalled',
    detail: 'a read did not finish within 7 s',
  });
});

test('a folder whose reads have ended after all is not kept waiting by one whose server is gone for good', async () => {
  const [gone, back] = [scene({ isOver: true, path: '/m/a/b.tar' }), scene({ isOver: true, path: '/m/b' })];
  await assert.rejects(gone.access.withDeadline(never), { code: 'medium-stalled' });
  const { promise, resolve } = Promise.withResolvers<void>();
  await assert.rejects(
    back.access.withDeadline(() => promise),
    { code: 'medium-stalled' },
  );
  const told: string[] = [];
  const ended = stalledReadsEnded('/m/b').then(() => told.push('b'));
  void stalledReadsEnded('/m/a').then(() => told.push('a'));
  await setImmediate();
  assert.deepEqual(told, []);
  resolve();
  await ended;
  assert.deepEqual(told, ['b']);
});

for (const [what, error, code, detail] of [
  ['a stick that was pulled out', fromSystem('ENODEV'), 'medium-unreadable', /^ENODEV: i\/o error, read$/],
  ['a bad sector', fromSystem('EIO'), 'medium-unreadable', /^EIO/],
  [
    'one that a bundle’s reader has met',
    new NixmakerError('io-error', 'cannot read the bundle: EIO', { cause: fromSystem('EIO') }),
    'medium-unreadable',
    /^cannot read the bundle: EIO$/,
  ],
  [
    'a damaged file system',
    fromSystem('Unknown system error -117', { errno: -117, path: '/m/a\nb' }),
    'medium-unreadable',
    /^its file system is damaged \(EUCLEAN\): \/m\/a b$/,
  ],
  ['a damaged bundle', new NixmakerError('bundle-altered', 'nar/x is damaged'), 'bundle-altered', /^nar\/x/],
] as const)
  test(`${what} is told as it is`, async () => {
    const { access } = scene();
    await assert.rejects(access.withDeadline(failing(error)), (thrown: unknown) => {
      assert.ok(thrown instanceof NixmakerError);
      assert.equal(thrown.code, code);
      assert.match(thrown.detail, detail);
      return true;
    });
  });

test('a fault of ours stays one, and is not the medium’s', async () => {
  const { access } = scene();
  const ours = new TypeError('x is undefined');
  await assert.rejects(access.withDeadline(failing(ours)), ours);
});

test('a medium’s faults wait for it to come back: nothing of it is refused', () => {
  for (const code of ['medium-unreadable', 'medium-stalled'] as const)
    assert.ok(isPassing(catalogue[code].exit), code);
});

const file = (read: () => Promise<Buffer>): BundleFile => ({
  ...{ name: 'x', size: async () => 5, read, readInto: async () => (await read()).length },
  close: never,
});

test('of a file on a medium every read has its end, and closing it keeps nobody waiting', async () => {
  const { access } = scene({ isOver: true });
  const opened = fileWithDeadline(file(never), access);
  for (const reading of [opened.read(0, 5), opened.readInto(Buffer.alloc(5), 0)])
    await assert.rejects(reading, { code: 'medium-stalled' });
  await opened.close();
});

test('what lies on this machine’s own disk is read without, and all of it before it is believed', async () => {
  const { access, slept } = scene({ isOnMedium: false });
  const ours = fromSystem('EIO');
  await assert.rejects(access.withDeadline(failing(ours)), ours);
  const plain = file(async () => Buffer.alloc(5));
  assert.equal(fileWithDeadline(plain, access), plain);
  await setImmediate();
  assert.deepEqual([access.checkFirst, slept], [true, []]);
  assert.equal(scene().access.checkFirst, false);
});
