/** Compacting a journal changes no decision: what is asked of it has the same answer before and after. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  failedDigests,
  floorOf,
  type JournalRecord,
  lastOfEach,
  signedTimeOf,
} from '../../src/core/run/journal.ts';
import { isEnd, mayFollow, type State, states } from '../../src/core/run/lifecycle.ts';
import { Retained, type Retention } from '../../src/core/run/retention.ts';

const digests = ['a', 'b', 'c', 'd'].map((letter) => letter.repeat(64));
const small: Retention = { runs: 4, stepsOf: 1, bytes: 1200, changes: 2 };

function compact(records: readonly JournalRecord[], retention = small) {
  const retained = new Retained(retention);
  for (const record of records) retained.add(record, 100);
  return retained.finish();
}

/** Runs whose steps mix, as where one waits for a restart and others come meanwhile. */
const journals = fc
  .array(
    fc.record({
      run: fc.nat(9),
      next: fc.nat(20),
      digest: fc.nat(3),
      sequence: fc.integer({ min: 1, max: 6 }),
      downgradeFrom: fc.option(fc.integer({ min: 1, max: 6 }), { nil: undefined }),
      code: fc.constantFrom('activation-failed', 'interrupted', 'io-error'),
      generation: fc.option(fc.nat(9), { nil: undefined }),
      createdAt: fc.integer({ min: 10, max: 28 }).map((day) => `2026-11-${day}T00:00:00Z`),
    }),
    { maxLength: 120 },
  )
  .map((steps) => {
    const at = new Map<number, { state: State; id: string }>();
    let begun = 0;
    return steps.map(({ run, next, digest, code, ...known }): JournalRecord => {
      const stands = at.get(run);
      const ways = states.filter((s) => stands !== undefined && mayFollow(stands.state, s));
      const state = ways[next % Math.max(ways.length, 1)] ?? 'discovered';
      const id = stands === undefined || ways.length === 0 ? `run-${begun++}` : stands.id;
      at.set(run, { state, id });
      return {
        schema: 1,
        at: 'then',
        transaction: id,
        state,
        source: 'web.tar',
        manifestDigest: digests[digest] as string,
        operation: 'switch',
        ...(isEnd(state) ? { code } : {}),
        ...known,
      } as JournalRecord;
    });
  });

const floorIn = (records: readonly JournalRecord[]) =>
  records.reduce<JournalRecord | undefined>((newest, record) => {
    const floor = floorOf(record);
    if (floor === undefined) return newest;
    return newest === undefined || floor >= (floorOf(newest) ?? 0) ? record : newest;
  }, undefined);

const newestTime = (records: readonly JournalRecord[]) =>
  Math.max(0, ...records.filter((r) => floorOf(r) !== undefined).map((r) => signedTimeOf(r) ?? 0));

/** Those that the floor would let through; the others are refused anyhow. */
function failedAboveFloor(records: readonly JournalRecord[], floor: number): Set<string> {
  const failed = failedDigests(records);
  const open = records.filter(
    (r) => (r.sequence ?? floor) >= floor || r.downgradeFrom === floor || floor === 0,
  );
  return new Set([...failed].filter((digest) => open.some((r) => r.manifestDigest === digest)));
}

const openRuns = (records: readonly JournalRecord[]) => {
  const open = new Set(
    lastOfEach(records)
      .filter((r) => !isEnd(r.state))
      .map((r) => r.transaction),
  );
  return records.filter((r) => open.has(r.transaction));
};

test('no run that has not ended loses a step, and none changes its place among the others', () => {
  fc.assert(
    fc.property(journals, (records) => {
      const { records: kept } = compact(records);
      assert.deepEqual(openRuns(kept), openRuns(records));
      const order = lastOfEach(records).map((r) => r.transaction);
      const after = lastOfEach(kept).map((r) => r.transaction);
      assert.deepEqual(
        after,
        order.filter((id) => after.includes(id)),
      );
    }),
    { numRuns: 500 },
  );
});

test('the floor’s witness, the newest signed time and what failed stay, however often it is compacted', () => {
  fc.assert(
    fc.property(journals, fc.integer({ min: 1, max: 3 }), (records, times) => {
      let kept: readonly JournalRecord[] = records;
      for (let i = 0; i < times; i++) kept = compact(kept).records;
      const [before, after] = [floorIn(records), floorIn(kept)];
      assert.equal(after?.manifestDigest, before?.manifestDigest);
      const floor = before === undefined ? 0 : (floorOf(before) ?? 0);
      assert.equal(after === undefined ? 0 : floorOf(after), floor);
      assert.equal(newestTime(kept), newestTime(records));
      for (const digest of failedAboveFloor(records, floor)) assert.ok(failedDigests(kept).has(digest));
      for (const digest of failedDigests(kept)) assert.ok(failedDigests(records).has(digest), 'failed anew');
    }),
    { numRuns: 500 },
  );
});

test('every run is in the journal or in the count, once, however often it is compacted', () => {
  fc.assert(
    fc.property(journals, fc.integer({ min: 1, max: 3 }), (records, times) => {
      let kept: readonly JournalRecord[] = records;
      let gone = 0;
      for (let i = 0; i < times; i++) {
        const found = compact(kept);
        kept = found.records;
        gone += Object.values(found.states).reduce((a, b) => a + b, 0);
      }
      assert.equal(lastOfEach(kept).length + gone, lastOfEach(records).length);
    }),
    { numRuns: 500 },
  );
});

test('what changed the machine last is known though nothing but refusals came since', () => {
  const run = (n: number, changes: Partial<JournalRecord>): JournalRecord => ({
    schema: 1,
    at: 'then',
    transaction: String(n),
    state: 'refused',
    source: `${n}.tar`,
    ...changes,
  });
  const undone = run(0, { state: 'rolled-back', code: 'boot-failed', toplevel: 'the one that runs' });
  const after = Array.from({ length: 200 }, (_, n) => run(n + 1, {}));
  const { records } = compact([undone, ...after]);
  assert.equal(records[0]?.toplevel, 'the one that runs');
});
