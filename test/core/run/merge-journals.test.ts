/** Root’s journal and the agent’s as one: what each says of its own order holds, and the clock decides the rest. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type JournalRecord, mergeJournals } from '../../../src/core/run/journal.ts';
import { isEnd, type State } from '../../../src/core/run/lifecycle.ts';

const line = (transaction: string, state: State, at: number, whose = 'agent'): JournalRecord => ({
  schema: 1,
  at: `2026-11-23T12:00:${String(at).padStart(2, '0')}Z`,
  transaction,
  state,
  source: whose,
});
const shortly = (records: readonly JournalRecord[]) =>
  records.map((r) => `${r.source[0]}:${r.transaction} ${r.state}`);

test('of runs that only one of them knows the clock decides; at the same time the agent’s comes first', () => {
  const root = [line('r1', 'committed', 10, 'root'), line('r2', 'committed', 20, 'root')];
  const agent = [
    line('a1', 'refused', 5),
    line('a2', 'refused', 15),
    line('a3', 'refused', 20),
    line('a4', 'refused', 30),
  ];
  assert.deepEqual(shortly(mergeJournals(root, agent)), [
    ...['a:a1 refused', 'r:r1 committed', 'a:a2 refused', 'a:a3 refused', 'r:r2 committed', 'a:a4 refused'],
  ]);
  assert.deepEqual(mergeJournals(root, []), root);
  assert.deepEqual(mergeJournals([], agent), agent);
  assert.deepEqual(mergeJournals([], []), []);
});

test('a clock that was set back counts as the newest time before it', () => {
  const root = [line('r1', 'committed', 20, 'root'), line('r2', 'committed', 1, 'root')];
  const agent = [
    line('a1', 'refused', 10),
    line('a2', 'refused', 30),
    line('a3', 'refused', 2),
    line('a4', 'refused', 3),
  ];
  assert.deepEqual(shortly(mergeJournals(root, agent)), [
    ...['a:a1 refused', 'r:r1 committed', 'r:r2 committed', 'a:a2 refused', 'a:a3 refused', 'a:a4 refused'],
  ]);
});

test('a run that both know begins and ends with the agent’s lines, whatever the clocks say', () => {
  const agent = [line('x', 'discovered', 50), line('x', 'imported', 51), line('x', 'committed', 52)];
  const root = [line('x', 'profile-set', 1, 'root'), line('x', 'committed', 2, 'root')];
  const expected = ['a:x discovered', 'r:x profile-set', 'r:x committed', 'a:x imported', 'a:x committed'];
  assert.deepEqual(shortly(mergeJournals(root, agent)), expected);
  const late = [line('x', 'profile-set', 58, 'root'), line('x', 'committed', 59, 'root')];
  assert.deepEqual(shortly(mergeJournals(late, agent)), [
    ...['a:x discovered', 'a:x imported', 'r:x profile-set', 'r:x committed', 'a:x committed'],
  ]);
});

/** Runs of the agent’s one after the other, some of which root has a part in, and others that are root’s alone; clocks that jump. */
const runs = fc.array(
  fc.record({
    whose: fc.constantFrom('agent', 'both', 'root'),
    of: fc.integer({ min: 1, max: 2 }),
    times: fc.array(fc.nat(59), { minLength: 8, maxLength: 8 }),
  }),
  { maxLength: 8 },
);

test('each keeps its order, nothing is lost, and no part of root’s lies outside of its run', () => {
  fc.assert(
    fc.property(runs, (drawn) => {
      const root: JournalRecord[] = [];
      const agent: JournalRecord[] = [];
      for (const [n, { whose, of, times }] of drawn.entries()) {
        const [a = 0, b = 0, c = 0, d = 0] = times;
        if (whose !== 'root') agent.push(line(`t${n}`, 'discovered', a), line(`t${n}`, 'realised', b));
        if (whose !== 'agent')
          for (let i = 0; i < of; i++)
            root.push(line(`t${n}`, i === of - 1 ? 'committed' : 'switched', c, 'root'));
        if (whose !== 'root') agent.push(line(`t${n}`, whose === 'both' ? 'committed' : 'refused', d));
      }
      const merged = mergeJournals(root, agent);
      assert.deepEqual(
        merged.filter((r) => r.source === 'root'),
        root,
      );
      assert.deepEqual(
        merged.filter((r) => r.source === 'agent'),
        agent,
      );
      for (const [n, { whose }] of drawn.entries()) {
        if (whose !== 'both') continue;
        const own = merged.filter((r) => r.transaction === `t${n}`);
        assert.equal(own[0]?.source, 'agent');
        assert.ok(own.at(-1)?.source === 'agent' && isEnd(own.at(-1)?.state as State));
      }
    }),
    { numRuns: 400 },
  );
});
