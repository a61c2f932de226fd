/** What `doctor` says of generations. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nothingFreed } from '../../../src/core/run/freed.ts';
import { writeTidied } from '../../../src/state/freed.ts';
import { checkGenerations } from '../../../src/target/inspect/generations.ts';
import { storePathOf } from '../../support/releases.ts';
import { rootInMemory } from '../../support/root-machine.ts';

const systems = (count: number) =>
  Array.from({ length: count }, (_, n) => storePathOf(n + 1, `system-${n + 1}`));

for (const [count, policy, verdict, what] of [
  [0, {}, 'ok', 'none yet'],
  [2, {}, 'ok', '2, of which none may go; nixmaker deletes none (`collect: never`)'],
  [5, { collect: 'when-needed' }, 'ok', '5, of which 3 may go; deleted if an update does not fit'],
  [49, {}, 'ok', '49, of which 47 may go; nixmaker deletes none (`collect: never`)'],
  [50, {}, 'look', '50, of which 48 may go; nixmaker deletes none (`collect: never`)'],
  [50, { collect: 'after-commit' }, 'ok', '50, of which 48 may go; deleted after every commit'],
] as const)
  test(`${count} generations, ${JSON.stringify(policy)}`, async (t) => {
    const { machine } = await rootInMemory(t, {
      policy,
      ...(count === 0 ? {} : { generations: systems(count) }),
    });
    const found = await checkGenerations(machine);
    assert.deepEqual([found.verdict, found.what], [verdict, what]);
    assert.equal(found.next !== undefined, verdict === 'look');
  });

test('what was freed last is said, where it was anything or was not finished', async (t) => {
  const { machine } = await rootInMemory(t, { policy: { collect: 'after-commit' }, generations: systems(3) });
  const said = async (freed: object) => {
    const at = '2026-11-29T10:20:30.000Z';
    await writeTidied(machine.floorDirectory, {
      schema: 1,
      transaction: 'x',
      at,
      freed: { ...nothingFreed, ...freed },
    });
    return (await checkGenerations(machine)).what;
  };
  const plain = '3, of which 1 may go; deleted after every commit';
  assert.equal(await said({}), plain);
  assert.equal(
    await said({ generations: [1, 2] }),
    `${plain}; last, 2026-11-29T10:20: generations 1-2 deleted`,
  );
  assert.equal(
    await said({ unfinished: 'busy' }),
    `${plain}; last, 2026-11-29T10:20: nothing freed; ended early: busy`,
  );
});
