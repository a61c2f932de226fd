/** Holding a release and freeing it: what is not done, and why. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { mostHeld } from '../../../src/core/policy/held.ts';
import { raiseFloor } from '../../../src/state/floor.ts';
import { freeRelease, holdRelease } from '../../../src/target/root/hold.ts';
import { oldSystem, rootInMemory } from '../../support/root-machine.ts';

const scene = (t: TestContext) => rootInMemory(t, { running: oldSystem, generations: [oldSystem] });
const because = 'the pump stands still';

test('a release is held, told, and freed', async (t) => {
  const { machine } = await scene(t);
  const { held } = await holdRelease(machine, { sequence: 7, because });
  assert.deepEqual(
    held.map((h) => [h.sequence, h.because]),
    [[7, because]],
  );
  await assert.rejects(freeRelease(machine, 8), {
    code: 'usage',
    detail: /^release 8 is not held; release 7/,
  });
  assert.equal((await freeRelease(machine, 7)).length, 1);
  await assert.rejects(freeRelease(machine, 7), { code: 'usage', detail: /none is$/ });
});

test('one that is older than what was taken need not be held', async (t) => {
  const { machine } = await scene(t);
  await raiseFloor(machine.floorDirectory, {
    ...{ schema: 1, sequence: 9, manifestDigest: 'd'.repeat(64), createdAt: '2026-11-01T00:00:00Z' },
  });
  await assert.rejects(holdRelease(machine, { sequence: 8, because }), {
    code: 'usage',
    detail: /^release 8 is older than 9, the newest taken/,
  });
});

test('no more are held than are kept', async (t) => {
  const { machine } = await scene(t);
  for (let sequence = 1; sequence <= mostHeld; sequence++) await holdRelease(machine, { sequence, because });
  await assert.rejects(holdRelease(machine, { sequence: mostHeld + 1, because }), {
    code: 'usage',
    detail: /^64 releases are held already; free some first/,
  });
});

test('where nobody knows what is held nothing is held or freed, until all are freed', async (t) => {
  const { machine } = await scene(t);
  await holdRelease(machine, { sequence: 7, because });
  for (const copy of ['held.a', 'held.b']) await writeFile(join(machine.floorDirectory, copy), 'damaged');
  const lost = { code: 'held-lost', detail: /both copies of the list of held releases are damaged/ };
  await assert.rejects(holdRelease(machine, { sequence: 8, because }), lost);
  await assert.rejects(freeRelease(machine, 7), lost);
  await freeRelease(machine, 'all');
  assert.equal((await holdRelease(machine, { sequence: 8, because })).held.length, 1);
});

test('the newest that was taken can be held, and what is installed below it; which it is, is said', async (t) => {
  const { machine, write, events } = await scene(t);
  await write({
    state: 'committed',
    operation: 'switch',
    sequence: 4,
    downgradeFrom: 9,
    toplevel: oldSystem,
  });
  await raiseFloor(machine.floorDirectory, {
    ...{ schema: 1, sequence: 9, manifestDigest: 'd'.repeat(64), createdAt: '2026-11-01T00:00:00Z' },
  });
  const installed = await holdRelease(machine, { sequence: 4, because });
  assert.deepEqual([installed.isInstalled, installed.held.map((h) => h.sequence)], [true, [4]]);
  const newest = await holdRelease(machine, { sequence: 9, because });
  assert.equal(newest.isInstalled, false);
  await holdRelease(machine, { sequence: 10, because });
  assert.deepEqual(
    (await freeRelease(machine, 9)).map((h) => h.sequence),
    [9],
  );
  assert.deepEqual(
    (await freeRelease(machine, 'all')).map((h) => h.sequence),
    [4, 10],
  );
  assert.deepEqual(await freeRelease(machine, 'all'), []);
  assert.deepEqual(
    events.map((e) => [e.event, e.level, e.sequence]),
    [
      ['release-held', 'warn', 4],
      ['release-held', 'warn', 9],
      ['release-held', 'warn', 10],
      ['release-freed', 'warn', 9],
      ['release-freed', 'warn', 'all'],
      ['release-freed', 'warn', 'all'],
    ],
  );
});
