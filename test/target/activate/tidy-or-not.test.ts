/** When root tidies up after a commit, and when it leaves all as it is. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { JournalRecord } from '../../../src/core/run/journal.ts';
import { readTidied } from '../../../src/state/freed.ts';
import { tidyUp } from '../../../src/target/activate/tidy.ts';
import { newSystem, oldSystem, record, rootInMemory } from '../../support/root-machine.ts';

const committed = record({ state: 'committed' });
const other = (state: JournalRecord['state']) => record({ transaction: 'ba9876543210', state });

async function scene(t: TestContext, records: readonly JournalRecord[], policy: object = {}) {
  const made = await rootInMemory(t, {
    generations: [oldSystem, newSystem],
    policy: { collect: 'after-commit', ...policy },
    answer: (argv) =>
      argv.includes('--gc') ? { stdout: '3 store paths deleted, 1.00 KiB freed\n' } : undefined,
  });
  await made.write(...records);
  const collections = () => made.started.filter(({ argv }) => argv.includes('--gc')).length;
  return { ...made, collections };
}

test('after a commit what nothing needs is collected, once', async (t) => {
  const { machine, collections } = await scene(t, [committed]);
  const freed = { generations: [], paths: 3, bytes: 1024, bootBytes: 0 };
  assert.deepEqual(await tidyUp(machine), { transaction: committed.transaction, freed });
  assert.deepEqual((await readTidied(machine.floorDirectory))?.freed, freed);
  assert.equal(await tidyUp(machine), undefined);
  assert.equal(collections(), 1);
});

for (const [what, records, policy] of [
  ['where the policy has it only when it is needed', [committed], { collect: 'when-needed' }],
  ['before any commit', [], {}],
  ['after a run that was not committed', [record({ state: 'failed' })], {}],
  ['while a run is under way', [committed, other('switched')], {}],
  ['while one waits to be judged', [committed, other('pending')], {}],
  ['after a commit that changed nothing', [record({ state: 'committed', generation: undefined })], {}],
] as const)
  test(`${what} nothing is collected, and nothing is said`, async (t) => {
    const { machine, collections, events } = await scene(t, records, policy);
    assert.equal(await tidyUp(machine), undefined);
    assert.equal(collections(), 0);
    assert.deepEqual(events, []);
  });

test('while the record of it can’t be read, it is not begun', async (t) => {
  const { machine, collections, events } = await scene(t, [committed]);
  await mkdir(join(machine.floorDirectory, 'tidied.json'));
  assert.equal(await tidyUp(machine), undefined);
  assert.equal(collections(), 0);
  assert.deepEqual(
    events.map((e) => e.event),
    ['tidy-failed'],
  );
});
