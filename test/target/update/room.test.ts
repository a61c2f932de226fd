/** Room is looked at while others write. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { ReleaseIndex } from '../../../src/core/release/index-file.ts';
import { needOfLines } from '../../../src/core/release/need.ts';
import { needOf, nothing, shortageOf } from '../../../src/core/room.ts';
import { Interruption } from '../../../src/core/run/interruption.ts';
import { systemClock } from '../../../src/process/clock.ts';
import { ImportRoom, keepingRoom, requireRoom, untilNextLook } from '../../../src/target/update/room.ts';
import { policy as plain } from '../../support/manifests.ts';

const folder = await mkdtemp(join(tmpdir(), 'nixmaker-room-'));
await mkdir(join(folder, 'nix/store'), { recursive: true });
after(() => rm(folder, { recursive: true, force: true }));

const keeping = (freeBytes: number) => ({
  policy: { ...plain, limits: { ...plain.limits, freeBytes } },
  clock: systemClock,
  interruption: new Interruption(),
  nix: { store: folder } as never,
});
const never = 2 ** 52;
const mebi = 1024 * 1024;

test('tiny files need a block, an inode and a name each, whatever a NAR says of their size', () => {
  const { bytes, files } = needOf({ paths: 1, blocks: 6001, files: 6001 });
  assert.ok(bytes > 6001 * 4096 && bytes < 6001 * 4096 * 1.05, `${bytes}`);
  assert.equal(files, 6001);
});

test('what fits to the last byte beside the reserve fits, and one byte more does not', () => {
  const space = { freeBytes: 1000, freeInodes: 5 };
  assert.equal(shortageOf(space, { bytes: 900, files: 5 }, 100), undefined);
  assert.equal(
    shortageOf(space, { bytes: 901, files: 5 }, 100),
    '1001 B needed, of which 100 B must stay free; only 1000 B free',
  );
  assert.match(shortageOf(space, { bytes: 1, files: 6 }, 100) ?? '', /^6 files .* only 5 inodes free$/);
  assert.equal(shortageOf(space, nothing, 1001), '1001 B must stay free; only 1000 B free');
});

test('a file system that counts no inodes has enough, and one that has none left has not', () => {
  const need = { bytes: 0, files: 1 };
  assert.equal(shortageOf({ freeBytes: 1, freeInodes: undefined }, need, 0), undefined);
  assert.match(shortageOf({ freeBytes: 1, freeInodes: 0 }, need, 0) ?? '', /only 0 inodes/);
});

test('a program of its own that takes the reserve is ended, and the run waits', async () => {
  let ended: unknown;
  const work = keepingRoom(keeping(never), folder, async (signal) => {
    await systemClock.sleep(600_000, signal).catch(() => undefined);
    ended = signal.aborted;
    throw new Error('ended with a signal');
  });
  await assert.rejects(work, { code: 'no-space', detail: new RegExp(`4 PiB must stay free.*${folder}`) });
  assert.equal(ended, true);
});

test('where there is room, what it gives or throws comes through, and a person’s signal ends it', async () => {
  const machine = keeping(0);
  assert.equal(await keepingRoom(machine, folder, async () => 'done'), 'done');
  await assert.rejects(
    keepingRoom(machine, folder, async () => {
      throw new Error('its own');
    }),
    /its own/,
  );
  const stopped = keepingRoom(machine, folder, (signal) => systemClock.sleep(600_000, signal));
  machine.interruption.begin();
  machine.interruption.ask('SIGINT');
  await assert.rejects(stopped, { name: 'AbortError' });
});

test('where the disk does not say how much room is left, the program is ended as well, and that is what is thrown', async () => {
  const gone = join(folder, 'gone', 'with', 'it');
  const work = keepingRoom(keeping(0), gone, async (signal) => {
    await systemClock.sleep(600_000, signal);
  });
  await assert.rejects(work, { code: 'ENOENT', syscall: 'statfs' });
});

/** Each path is one file. */
const indexOf = (...sizes: readonly number[]) =>
  ({
    blocks: (line: number) => Math.ceil((sizes[line] ?? 0) / 4096),
    files: () => 1,
    narSize: (line: number) => (sizes[line] ?? 0) + 200,
  }) as unknown as ReleaseIndex;

async function* nar(bytes: number) {
  for (let left = bytes; left > 0; left -= 65_536) yield Buffer.alloc(Math.min(left, 65_536));
}

test('an import whose rest will not fit any more is stopped before its first byte, not at its last', async () => {
  const index = indexOf(mebi, never);
  const room = new ImportRoom(keeping(0), index, [0, 1]);
  await assert.rejects(
    async () => {
      for await (const chunk of room.over(0, nar(mebi))) assert.fail(`${chunk.length} bytes were given`);
    },
    { code: 'no-space' },
  );
});

test('the less is free besides, the sooner room is looked at again', () => {
  const gibi = 1024 * mebi;
  assert.equal(untilNextLook({ bytes: 10 * gibi, files: Number.POSITIVE_INFINITY }), 16 * mebi);
  assert.equal(untilNextLook({ bytes: 64 * mebi, files: Number.POSITIVE_INFINITY }), 4 * mebi);
  assert.equal(untilNextLook({ bytes: 0, files: 1_000_000 }), mebi);
  assert.equal(untilNextLook({ bytes: 10 * gibi, files: 1000 }), mebi);
});

test('the bytes of an import that fits are what they were', async () => {
  const index = indexOf(3 * mebi, 100);
  const room = new ImportRoom(keeping(0), index, [0, 1]);
  for (const line of [0, 1]) {
    let bytes = 0;
    for await (const chunk of room.over(line, nar(index.narSize(line)))) bytes += chunk.length;
    assert.equal(bytes, index.narSize(line));
  }
});

test('the need of lines is that of each, and of all of them it is looked for at once', async () => {
  const index = indexOf(4096, 8192);
  assert.equal(needOfLines(index, [0, 1]).files, 2);
  assert.ok(needOfLines(index, [0, 1]).bytes >= 3 * 4096);
  await requireRoom(keeping(0), folder, needOfLines(index, [0, 1]));
  await assert.rejects(requireRoom(keeping(never), folder, nothing), { code: 'no-space' });
});
