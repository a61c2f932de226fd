/** What of a journal that is too large stays, to the line: bounds of runs, of bytes and of steps, and what is counted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JournalRecord } from '../../../src/core/run/journal.ts';
import type { State } from '../../../src/core/run/lifecycle.ts';
import { Retained, type Retention } from '../../../src/core/run/retention.ts';

const large: Retention = { runs: 100, stepsOf: 100, bytes: 1e6, changes: 100 };

const line = (id: string, state: State, changes: Partial<JournalRecord> = {}): JournalRecord => ({
  schema: 1,
  at: 'then',
  transaction: id,
  state,
  source: `${id}.tar`,
  ...changes,
});

function kept(retention: Partial<Retention>, records: readonly JournalRecord[], bytes = 100) {
  const retained = new Retained({ ...large, ...retention });
  for (const record of records) retained.add(record, bytes);
  const { records: rest, states, codes } = retained.finish();
  return { records: rest, lines: rest.map((r) => `${r.transaction} ${r.state}`), states, codes };
}

const refused = (id: string, changes: Partial<JournalRecord> = {}) => [
  line(id, 'discovered'),
  line(id, 'refused', { code: 'expired', ...changes }),
];

test('within all bounds every line stays, and nothing is counted', () => {
  const records = [...refused('a'), ...refused('b'), line('c', 'discovered')];
  assert.deepEqual(kept({}, records), {
    records,
    lines: ['a discovered', 'a refused', 'b discovered', 'b refused', 'c discovered'],
    states: {},
    codes: {},
  });
});

test('beyond the number of runs the oldest go, and are counted by state and code', () => {
  const records = [...refused('a'), ...refused('b', { code: undefined }), ...refused('c'), ...refused('d')];
  const { lines, states, codes } = kept({ runs: 2 }, records);
  assert.deepEqual(lines, ['c discovered', 'c refused', 'd discovered', 'd refused']);
  assert.deepEqual([states, codes], [{ refused: 2 }, { expired: 1 }]);
});

test('beyond the bytes the oldest go, but the newest stays however large', () => {
  const records = [...refused('a'), ...refused('b'), ...refused('c')];
  assert.deepEqual(kept({ bytes: 400 }, records).lines, [
    'b discovered',
    'b refused',
    'c discovered',
    'c refused',
  ]);
  assert.deepEqual(kept({ bytes: 399 }, records).lines, ['c discovered', 'c refused']);
  assert.deepEqual(kept({ bytes: 10 }, records).lines, ['c discovered', 'c refused']);
});

test('older runs lose their steps, and the room they took', () => {
  const records = [...refused('a'), ...refused('b'), ...refused('c')];
  assert.deepEqual(kept({ stepsOf: 1 }, records).lines, [
    'a refused',
    'b refused',
    'c discovered',
    'c refused',
  ]);
  assert.deepEqual(kept({ stepsOf: 1, bytes: 400 }, records).lines.length, 4);
  assert.deepEqual(kept({ stepsOf: 1, bytes: 399 }, records).lines, [
    'b refused',
    'c discovered',
    'c refused',
  ]);
});

test('where another run came between, the first line stays: it says which of them began before', () => {
  const records = [
    line('a', 'discovered'),
    line('b', 'discovered'),
    line('a', 'verified'),
    line('a', 'refused'),
    line('b', 'refused'),
    ...refused('c'),
  ];
  assert.deepEqual(kept({ stepsOf: 1 }, records).lines, [
    ...['a discovered', 'b discovered', 'a refused', 'b refused', 'c discovered', 'c refused'],
  ]);
  const { lines } = kept({ stepsOf: 0 }, [
    line('a', 'discovered'),
    line('a', 'verified'),
    line('a', 'refused'),
  ]);
  assert.deepEqual(lines, ['a refused'], 'nothing came between');
});

test('the same, refused or waiting for the same reason, stays once: the last', () => {
  const same = { code: 'expired', source: 'web.tar', manifestDigest: 'd' };
  const records = [
    line('a', 'refused', same),
    line('b', 'refused', same),
    line('c', 'deferred', { ...same, code: 'busy' }),
    line('d', 'deferred', { ...same, code: 'busy' }),
    line('e', 'refused', { ...same, code: 'other' }),
    line('f', 'refused', { ...same, source: 'other.tar' }),
    line('g', 'refused', { ...same, manifestDigest: 'e' }),
    line('h', 'superseded', same),
    line('i', 'superseded', same),
  ];
  const { lines, states } = kept({}, records);
  assert.deepEqual(
    lines.map((l) => l[0]),
    ['b', 'd', 'e', 'f', 'g', 'h', 'i'],
  );
  assert.deepEqual(states, { refused: 1, deferred: 1 });
});

test('a repeat that has gone for its age does not take a later one with it', () => {
  const same = { code: 'expired', source: 'web.tar', manifestDigest: 'd' };
  const records = [
    line('a', 'refused', same),
    line('b', 'superseded'),
    line('c', 'superseded'),
    line('d', 'refused', same),
  ];
  const { lines, states } = kept({ runs: 2 }, records);
  assert.deepEqual(lines, ['c superseded', 'd refused']);
  assert.deepEqual(states, { refused: 1, superseded: 1 });
});

const changed = {
  generation: 3,
  sequence: 5,
  manifestDigest: 'd',
  operation: 'switch',
  createdAt: '2026-11-01T00:00:00Z',
};

test('what changed the machine stays in short, up to its number, and is not counted as gone', () => {
  const records = [
    line('a', 'rolled-back', { ...changed, detail: 'long', signedBy: ['k'] }),
    line('b', 'failed', { previousToplevel: 'old' }),
    line('c', 'failed'),
    line('d', 'committed', { sequence: 1 }),
    line('e', 'superseded'),
  ];
  const { lines, records: rest, states } = kept({ runs: 1 }, records);
  assert.deepEqual(lines, ['a rolled-back', 'b failed', 'e superseded']);
  const { schema, at, transaction, state, source } = rest[0] as JournalRecord;
  assert.deepEqual(rest[0], { schema, at, transaction, state, source, ...changed });
  assert.deepEqual(states, { failed: 1, committed: 1 });
  // The rollback stays for its manifest, which failed.
  assert.deepEqual(kept({ runs: 1, changes: 1 }, records).lines, [
    'a rolled-back',
    'b failed',
    'e superseded',
  ]);
  const { manifestDigest: _, ...unnamed } = changed;
  const nameless = [line('a', 'rolled-back', unnamed), ...records.slice(1)];
  assert.deepEqual(kept({ runs: 1, changes: 1 }, nameless).lines, ['b failed', 'e superseded']);
});

test('what was installed is a change, and what was refused is none, whatever generation it names', () => {
  const records = [
    line('a', 'committed', { ...changed, sequence: 5 }),
    line('b', 'committed', { ...changed, sequence: 6 }),
    line('c', 'refused', { generation: 4 }),
    line('d', 'superseded', { generation: 4 }),
    line('e', 'superseded'),
  ];
  assert.deepEqual(kept({ runs: 1 }, records).lines, ['a committed', 'b committed', 'e superseded']);
});

test('the floor’s witness and the newest signed time stay, of two for the same floor the later', () => {
  const commit = (id: string, sequence: number, day: number, more: Partial<JournalRecord> = {}) =>
    line(id, 'committed', {
      ...changed,
      sequence,
      manifestDigest: id,
      createdAt: `2026-11-0${day}T00:00:00Z`,
      ...more,
    });
  const last = line('z', 'superseded');
  const of = (...records: readonly JournalRecord[]) =>
    kept({ runs: 1, changes: 0 }, [...records, last]).lines;
  assert.deepEqual(of(commit('a', 5, 1), commit('b', 6, 2)), ['b committed', 'z superseded']);
  assert.deepEqual(of(commit('a', 5, 3), commit('b', 6, 2)), ['a committed', 'b committed', 'z superseded']);
  assert.deepEqual(of(commit('a', 6, 3), commit('b', 5, 2)), ['a committed', 'z superseded']);
  assert.deepEqual(of(commit('a', 6, 3), commit('b', 5, 2, { downgradeFrom: 6 })), [
    ...['a committed', 'b committed', 'z superseded'],
  ]);
  assert.deepEqual(of(commit('a', 6, 3), commit('b', 7, 3)), ['a committed', 'b committed', 'z superseded']);
  assert.deepEqual(of(commit('a', 6, 3, { generation: undefined })), ['z superseded']);
});

test('what failed stays while the floor would let it through, and so does that it is good again', () => {
  const failed = (id: string, manifestDigest: string, more: Partial<JournalRecord> = {}) =>
    line(id, 'failed', { code: 'activation-failed', manifestDigest, sequence: 5, ...more });
  const good = (id: string, manifestDigest: string, sequence: number) =>
    line(id, 'committed', { manifestDigest, sequence, generation: 3, operation: 'switch' });
  const last = line('z', 'superseded');
  const of = (...records: readonly JournalRecord[]) =>
    kept({ runs: 1, changes: 0 }, [...records, last]).lines.map((l) => l[0]);
  assert.deepEqual(of(failed('a', 'x')), ['a', 'z']);
  assert.deepEqual(of(failed('a', 'x'), failed('b', 'x')), ['b', 'z'], 'the newest');
  assert.deepEqual(of(failed('a', 'x'), good('b', 'y', 5)), ['a', 'b', 'z'], 'at the floor');
  assert.deepEqual(of(failed('a', 'x'), good('b', 'y', 6)), ['b', 'z'], 'below it');
  assert.deepEqual(of(failed('a', 'x', { downgradeFrom: 6 }), good('b', 'y', 6)), ['a', 'b', 'z']);
  assert.deepEqual(of(failed('a', 'x', { sequence: undefined }), good('b', 'y', 6)), ['a', 'b', 'z']);
  assert.deepEqual(
    of(failed('a', 'x', { sequence: 9 }), line('b', 'committed', { manifestDigest: 'x' })),
    ['b', 'z'],
    'good again',
  );
  assert.deepEqual(of(line('b', 'committed', { manifestDigest: 'x' })), ['z'], 'and it never was otherwise');
});

test('runs that have not ended stay with every step, also between others', () => {
  const records = [
    line('a', 'discovered'),
    ...refused('b'),
    line('a', 'verified'),
    ...refused('c'),
    line('a', 'accepted'),
  ];
  assert.deepEqual(kept({ runs: 1 }, records).lines, [
    ...['a discovered', 'a verified', 'c discovered', 'c refused', 'a accepted'],
  ]);
});
