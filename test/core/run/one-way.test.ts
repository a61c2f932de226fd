/** Whether a person’s way back leads past a release from which there is none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JournalRecord } from '../../../src/core/run/journal.ts';
import { oneWayPassed, oneWayText, type WayBack } from '../../../src/core/run/one-way.ts';

const ran = (changes: Partial<JournalRecord>): JournalRecord => ({
  ...{ schema: 1, at: '2026-11-28T00:00:00Z', transaction: 'a', source: 'web.tar' },
  ...{ state: 'committed', sequence: 21, generation: 5, toplevel: '/five', noWayBack: 'migrated' },
  ...changes,
});
const way: WayBack = { from: 6, to: 4, installed: '/six', sequence: 20 };

for (const [what, changes, from, isPassed] of [
  ['one between the two', {}, {}, true],
  ['the one that is installed', { toplevel: '/six', generation: 6 }, {}, true],
  ['one that stayed although unwell', { state: 'failed', code: 'left-unwell' }, {}, true],
  ['one that was rolled back', { state: 'rolled-back' }, {}, false],
  ['one that waits for a restart', { state: 'pending' }, {}, false],
  ['an ordinary one', { noWayBack: undefined }, {}, false],
  ['one that is newer than both', { generation: 7 }, {}, false],
  ['one that the way ends at', {}, { to: 5, sequence: 21 }, false],
  ['one before the end of the way', { generation: 3, sequence: 19 }, {}, false],
  ['an older system in a newer generation', {}, { from: 5, to: 8, installed: '/five', sequence: 20 }, true],
  ['a way forward', {}, { from: 5, to: 6, installed: '/five', sequence: 22 }, false],
  [
    'the installed one, of which nothing else is known',
    { generation: undefined, sequence: undefined, toplevel: '/six' },
    {},
    true,
  ],
] as const)
  test(`${what}: ${isPassed ? 'asks' : 'does not ask'}`, () => {
    const passed = oneWayPassed([ran(changes)], { ...way, ...from });
    assert.equal(passed.length, isPassed ? 1 : 0);
  });

test('all of them are told, with what is known', () => {
  const passed = oneWayPassed([ran({}), ran({ sequence: undefined, noWayBack: 'moved' })], way);
  assert.equal(oneWayText(passed), 'release 21 is one-way: migrated; a release is one-way: moved');
});
