import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergeJournals } from '../../../src/core/run/journal.ts';
import { record } from '../../support/root-machine.ts';

const line = (transaction: string, state: 'discovered' | 'committed', at: string) =>
  record({ transaction, state, at });

test('two journals are one in the order of what happened, also where the clock was set back in between', () => {
  const agent = [
    line('a', 'discovered', '2026-11-28T12:00:00Z'),
    line('a', 'committed', '2026-11-28T12:00:09Z'),
    line('b', 'discovered', '1970-01-01T00:00:10Z'),
    line('b', 'committed', '1970-01-01T00:00:19Z'),
  ];
  const root = [
    line('a', 'discovered', '2026-11-28T12:00:03Z'),
    line('a', 'committed', '2026-11-28T12:00:06Z'),
    line('b', 'discovered', '1970-01-01T00:00:13Z'),
    line('b', 'committed', '1970-01-01T00:00:16Z'),
  ];
  const merged = mergeJournals(root, agent);
  assert.equal(merged.map((r) => r.transaction).join(''), 'aaaabbbb');
  assert.deepEqual(merged.at(-1), agent[3], 'the last is the last');
  assert.deepEqual(merged.slice(0, 4), [agent[0], root[0], root[1], agent[1]]);
});

test('a journal alone stays as it is, whatever its times', () => {
  const lines = [
    line('b', 'discovered', '2026-01-01T00:00:00Z'),
    line('a', 'committed', '1970-01-01T00:00:00Z'),
  ];
  assert.deepEqual(mergeJournals(lines, []), lines);
  assert.deepEqual(mergeJournals([], lines), lines);
});
