/** What follows from the lines of a journal. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { catalogue } from '../../src/core/catalogue.ts';
import type { ReasonCode } from '../../src/core/errors.ts';
import {
  failedDigests,
  floorOf,
  healthOf,
  type JournalRecord,
  lastOfEach,
  signedTimeOf,
  totalsOf,
  verdictOn,
} from '../../src/core/run/journal.ts';
import { isEnd, type State, states } from '../../src/core/run/lifecycle.ts';
import { operations } from '../../src/core/schema.ts';

const digest = 'd'.repeat(64);
const codes = [undefined, ...(Object.keys(catalogue) as ReasonCode[])];

const line = (changes: Partial<JournalRecord> = {}): JournalRecord => ({
  ...{ schema: 1, at: '2026-11-23T12:00:00Z', transaction: 'a', state: 'committed', source: 'web.tar' },
  ...{ operation: 'switch', manifestDigest: digest },
  ...changes,
});

/** Why a run that was rolled back says nothing of its system: the reason lay in the machine, and passes. */
const passing: readonly unknown[] = ['interrupted', 'no-space', 'nix-unavailable'];
/** Why a run that has failed says that its system can’t be installed here. */
const telling: readonly unknown[] = ['activation-failed', 'rollback-failed', 'no-way-back', 'left-unwell'];

/** By the state of the line: with which codes a manifest that was good has failed after it, and one that had failed is good. */
const expected: Readonly<Partial<Record<State, (code: unknown) => 'failed' | 'good' | undefined>>> = {
  committed: () => 'good',
  'rolled-back': (code) => (passing.includes(code) ? undefined : 'failed'),
  failed: (code) => (telling.includes(code) ? 'failed' : undefined),
};

for (const operation of operations)
  test(`whether a manifest has failed here, by every state and code of a run that was to ${operation}`, () => {
    const isTried = operation === 'test' || operation === 'dry-activate';
    let count = 0;
    for (const state of states)
      for (const code of codes) {
        const said = isTried ? undefined : expected[state]?.(code);
        const record = line({ state, code, operation });
        const name = `${state} ${code ?? 'without a code'}`;
        assert.equal(verdictOn(record), said, name);
        assert.equal(failedDigests([record]).has(digest), said === 'failed', name);
        const failedBefore = line({ transaction: 'b', state: 'rolled-back', code: 'health-failed' });
        assert.equal(failedDigests([failedBefore, record]).has(digest), said !== 'good', name);
        count += 1;
      }
    assert.equal(count, states.length * codes.length);
  });

test('each manifest has failed for itself, and a line without one says nothing', () => {
  const other = 'e'.repeat(64);
  const failed = { state: 'rolled-back', code: 'health-failed' } as const;
  assert.deepEqual(
    [...failedDigests([line({ ...failed }), line({ ...failed, manifestDigest: other }), line()])],
    [other],
  );
  assert.equal(failedDigests([line({ ...failed, manifestDigest: undefined })]).size, 0);
  assert.equal(failedDigests([]).size, 0);
});

test('a run stands where its last line says, in the order in which runs began', () => {
  const records = [
    line({ transaction: 'a', state: 'discovered' }),
    line({ transaction: 'b', state: 'discovered' }),
    line({ transaction: 'a', state: 'verified' }),
    line({ transaction: 'c', state: 'pending' }),
    line({ transaction: 'b', state: 'refused', code: 'expired' }),
    line({ transaction: 'c', state: 'healthy' }),
  ];
  const stand = lastOfEach(records).map((r) => `${r.transaction} ${r.state}`);
  assert.deepEqual(stand, ['a verified', 'b refused', 'c healthy']);
  assert.deepEqual(lastOfEach([]), []);
});

test('what has ended stays as it ended, whatever is written after it', () => {
  for (const end of ['committed', 'deferred', 'refused', 'failed', 'rolled-back', 'superseded'] as const)
    for (const state of states) {
      const [last, ...more] = lastOfEach([line({ state: end, detail: 'the end' }), line({ state })]);
      assert.deepEqual([last?.state, last?.detail, more.length], [end, 'the end', 0], `${end}, ${state}`);
    }
  for (const going of states.filter((s) => !isEnd(s)))
    assert.equal(lastOfEach([line({ state: going }), line({ detail: 'later' })])[0]?.detail, 'later');
});

test('each run counts once, as it stands, on top of what is no longer in the journal', () => {
  const records = [
    line({ transaction: 'a', state: 'discovered' }),
    line({ transaction: 'a', state: 'refused', code: 'expired' }),
    line({ transaction: 'b' }),
  ];
  assert.deepEqual(totalsOf(records), { states: { refused: 1, committed: 1 }, codes: { expired: 1 } });
  const earlier = { states: { refused: 3 }, codes: { expired: 2, busy: 1 } };
  assert.deepEqual(totalsOf(records, earlier), {
    states: { refused: 4, committed: 1 },
    codes: { expired: 3, busy: 1 },
  });
  assert.deepEqual(earlier, { states: { refused: 3 }, codes: { expired: 2, busy: 1 } });
});

test('only what was committed to last, and was installed, has reached a floor', () => {
  for (const state of states)
    for (const operation of [...operations, undefined, 'else']) {
      const known = { state, operation, sequence: 5, generation: 2 };
      const lasts = state === 'committed' && (operation === 'switch' || operation === 'boot');
      assert.equal(floorOf(line(known)), lasts ? 5 : undefined, `${state} ${operation}`);
    }
  const whole = { sequence: 5, generation: 2 };
  for (const missing of ['sequence', 'generation', 'manifestDigest'])
    assert.equal(floorOf(line({ ...whole, [missing]: undefined })), undefined, missing);
  assert.equal(floorOf(line({ ...whole, downgradeFrom: 9 })), 9);
  assert.equal(floorOf(line({ ...whole, state: 'failed', code: 'left-unwell' })), 5, 'it stays');
  assert.equal(floorOf(line({ ...whole, state: 'failed', code: 'rollback-failed' })), undefined);
});

test('what is no time and no list of checks is none', () => {
  assert.equal(signedTimeOf(line({ createdAt: '2026-11-23T12:00:00Z' })), Date.UTC(2026, 10, 23, 12));
  for (const createdAt of [undefined, 7, 'soon', ''])
    assert.equal(signedTimeOf(line({ createdAt })), undefined);
  const health = [{ check: 'x', ok: false, detail: 'y' }];
  assert.deepEqual(healthOf(line({ health })), health);
  for (const bad of [undefined, {}, [{ check: 'x' }], 'well'])
    assert.equal(healthOf(line({ health: bad })), undefined);
  assert.equal(healthOf(undefined), undefined);
});
