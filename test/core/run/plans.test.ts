/** The small decisions of a run, each by a table: what is rolled back, confirmed, restarted, believed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planConfirm } from '../../../src/core/run/confirm.ts';
import { believedTime, doubtFloor, timeFloorOf } from '../../../src/core/run/floor.ts';
import { claimText, toClaims, toReceiptRun } from '../../../src/core/run/host-receipt.ts';
import { healthOf, type JournalRecord, signedTimeOf, totalsOf } from '../../../src/core/run/journal.ts';
import { hasBegunToChange, isAtRest, isEnd, states } from '../../../src/core/run/lifecycle.ts';
import { type RebootFacts, rebootReason, rebootTiming } from '../../../src/core/run/reboot.ts';
import { planResume } from '../../../src/core/run/resume.ts';

const [ours, other] = ['/nix/store/new', '/nix/store/old'];

for (const [what, run, machine, plan] of [
  ['another system installed over it', {}, { profile: other }, 'supersede'],
  ['another system installed over it, and another boot', {}, { profile: other, booted: other }, 'supersede'],
  ['no restart since', { bootId: 'now' }, {}, 'wait'],
  ['a machine that does not say what it has booted', {}, { booted: undefined }, 'wait'],
  ['another system booted', {}, { booted: other }, 'not-booted'],
  ['nobody asked yet', {}, {}, 'check'],
  ['somebody asked in this boot', { askedIn: 'now' }, {}, 'wait'],
  ['somebody asked in this boot, too long ago', { askedIn: 'now' }, { late: true }, 'not-confirmed'],
  ['somebody asked in an earlier boot', { askedIn: 'then' }, {}, 'not-confirmed'],
] as const)
  test(`with ${what}, what waits to be confirmed is to “${plan}”`, () => {
    const at = { toplevel: ours, bootId: 'then', askedIn: undefined, ...run };
    assert.equal(
      planConfirm(at, { bootId: 'now', booted: ours, profile: ours, late: false, ...machine }),
      plan,
    );
  });

for (const [state, run, machine, plan] of [
  ['realised', {}, {}, 'forget'],
  ['rolling-back', {}, {}, 'roll-back'],
  ['switched', { toplevel: undefined }, {}, 'roll-back'],
  ['switched', {}, { toplevelUsable: false }, 'roll-back'],
  ['switched', {}, {}, 'go-on'],
  ['switched', { bootId: 'then' }, {}, 'confirm'],
  ['switched', { bootId: 'then' }, { booted: other }, 'roll-back'],
  ['switched', { bootId: undefined }, { booted: undefined }, 'roll-back'],
] as const)
  test(`cut off at “${state}” with ${JSON.stringify({ ...run, ...machine })}: ${plan}`, () => {
    assert.equal(
      planResume(
        { state, toplevel: ours, bootId: 'now', ...run },
        { bootId: 'now', booted: ours, toplevelUsable: true, ...machine },
      ),
      plan,
    );
  });

test('which states are ends, at rest, and of a machine that is being changed', () => {
  const ends = ['committed', 'deferred', 'refused', 'failed', 'rolled-back', 'superseded'];
  const changing = ['profile-set', 'boot-entry', 'switched', 'pending', 'healthy', 'rolling-back'];
  assert.deepEqual(states.filter(isEnd), ends);
  assert.deepEqual(
    states.filter(isAtRest),
    states.filter((s) => ends.includes(s) || s === 'pending' || s === 'staged'),
  );
  assert.deepEqual(states.filter(hasBegunToChange), changing);
});

const nothing: RebootFacts = { pending: false, runsRolledBack: false, switched: false, differs: [] };
for (const [what, when, facts, reason] of [
  ['a policy that never restarts', 'never', { pending: true, runsRolledBack: true }, undefined],
  [
    'a system that was rolled back',
    'when-needed',
    { runsRolledBack: true, pending: true },
    /was rolled back/,
  ],
  ['a system that waits', 'when-needed', { pending: true }, /is installed/],
  ['nothing new', 'always', { differs: ['kernel'] }, undefined],
  [
    'another kernel',
    'when-needed',
    { switched: true, differs: ['kernel', 'initrd'] },
    /^kernel, initrd changed$/,
  ],
  ['a switch', 'when-needed', { switched: true }, undefined],
  ['a switch, always', 'always', { switched: true }, /was activated/],
] as const)
  test(`${what} is ${reason === undefined ? 'no reason' : 'a reason'} to restart`, () => {
    const why = rebootReason({ when, delay: 0 }, { ...nothing, ...facts });
    if (reason === undefined) assert.equal(why, undefined);
    else assert.match(why ?? '', reason);
  });

test('when it may be restarted: at once, in the window, or when the clock is right', () => {
  const at = (time: string) => new Date(`2026-11-28T${time}Z`);
  const window = { days: ['sat', 'sun'], from: '02:00', to: '03:00', timeZone: 'UTC' } as const;
  const policy = { when: 'always', delay: 0, window: { ...window, days: [...window.days] } } as never;
  assert.deepEqual(rebootTiming({ when: 'always', delay: 0 }, at('12:00:00'), at('13:00:00')), { now: true });
  assert.deepEqual(rebootTiming(policy, at('02:30:00'), undefined), { now: true });
  assert.deepEqual(rebootTiming(policy, at('02:30:00'), at('02:30:00')), { now: true });
  assert.deepEqual(rebootTiming(policy, at('02:30:00'), at('02:30:01')), {
    now: false,
    again: 600_000,
    because: 'the clock is not set, so the window cannot be determined',
  });
  assert.deepEqual(rebootTiming(policy, at('01:00:00'), at('00:00:00')), {
    now: false,
    again: 3_600_000,
    because: 'the window opens at 2026-11-28T02:00:00.000Z',
  });
  const never = { when: 'always', delay: 0, window: { ...window, days: [] } } as never;
  assert.deepEqual(rebootTiming(never, at('02:30:00'), undefined), {
    ...{ now: false, again: 600_000, because: 'the window never opens' },
  });
});

const floorAt = (sequence: number) => ({
  sequence,
  manifestDigest: 'd'.repeat(64),
  createdAt: '2026-11-01T00:00:00Z',
});
const firstStart = { firstStart: 'one-generation' } as const;

for (const [what, evidence, doubt] of [
  ['nothing taken', {}, undefined],
  ['one copy damaged', { floor: floorAt(5), damaged: 1 }, undefined],
  ['both damaged, and no journal', { damaged: 2 }, /both copies.*no bundle was taken/],
  ['both damaged', { damaged: 2, committed: floorAt(4) }, /both copies.*sequence 4 was taken/],
  ['gone', { committed: floorAt(4) }, /the floor is missing.*sequence 4/],
  [
    'lower than the journal',
    { floor: floorAt(3), committed: floorAt(4) },
    /the floor is 3, but .*sequence 4/,
  ],
  ['the journal’s', { floor: floorAt(4), committed: floorAt(4) }, undefined],
  ['higher than the journal', { floor: floorAt(5), committed: floorAt(4) }, undefined],
  [
    'gone with the journal, beside a record',
    { recorded: floorAt(4) },
    /the floor is missing, but the record beside the system profile says sequence 4/,
  ],
  [
    'set back with the journal, beside a record',
    { floor: floorAt(3), committed: floorAt(3), recorded: floorAt(4) },
    /the floor is 3, but the record .*sequence 4/,
  ],
  ['the record’s', { floor: floorAt(4), recorded: floorAt(4) }, undefined],
  ['higher than the record', { floor: floorAt(5), recorded: floorAt(4) }, undefined],
  ['not there, on a machine that an installer left', { ...firstStart, newestGeneration: 1 }, undefined],
  ['not there, on one without a generation', { ...firstStart, newestGeneration: 0 }, undefined],
  [
    'not there, on one that has had generations',
    { ...firstStart, newestGeneration: 2 },
    /there is no record of any bundle, but generation 2 exists; .*`firstStart`/,
  ],
  [
    'not there, on one that others have switched, as its policy says',
    { firstStart: 'no-record', newestGeneration: 40 },
    undefined,
  ],
  ['not there, where the policy can’t be read', { newestGeneration: 40 }, undefined],
  [
    'not there yet, with a first bundle under way',
    { ...firstStart, newestGeneration: 2, hasBegun: true },
    undefined,
  ],
  [
    'there, whatever generations there are',
    { ...firstStart, newestGeneration: 40, floor: floorAt(1) },
    undefined,
  ],
] as const)
  test(`a floor that is ${what} is ${doubt === undefined ? 'believed' : 'doubted'}`, () => {
    const said = doubtFloor({ floor: undefined, damaged: 0, committed: undefined, ...evidence });
    if (doubt === undefined) assert.equal(said, undefined);
    else assert.match(said ?? '', doubt);
  });

test('no clock before the newest signed time is believed, nor one before nixmaker was made', () => {
  assert.equal(timeFloorOf(undefined), '2026-01-01T00:00:00Z');
  assert.equal(timeFloorOf('2025-06-01T00:00:00Z'), '2026-01-01T00:00:00Z');
  assert.equal(timeFloorOf('2026-06-01T00:00:00Z'), '2026-06-01T00:00:00Z');
  const clock = new Date('2026-06-01T00:00:00Z');
  const right = { now: '2026-06-01T00:00:00.000Z', clockBehind: false };
  assert.deepEqual(believedTime(clock, undefined), right);
  assert.deepEqual(believedTime(clock, '2026-06-01T00:00:00Z'), right);
  assert.deepEqual(believedTime(clock, '2026-06-01T00:00:01Z'), {
    now: '2026-06-01T00:00:01Z',
    clockBehind: true,
  });
});

const line = (transaction: string, changes: Partial<JournalRecord>): JournalRecord => ({
  schema: 1,
  at: 'then',
  transaction,
  state: 'committed',
  source: 'x',
  ...changes,
});

test('how runs have ended is counted by run, on top of those that have gone', () => {
  const records = [
    line('a', { state: 'verified', code: 'busy' }),
    line('a', { state: 'refused', code: 'expired' }),
    line('b', { state: 'refused', code: 'expired' }),
    line('c', {}),
  ];
  assert.deepEqual(totalsOf(records), { states: { refused: 2, committed: 1 }, codes: { expired: 2 } });
  const earlier = { states: { refused: 3, failed: 1 }, codes: { expired: 4 } };
  assert.deepEqual(totalsOf(records, earlier), {
    states: { refused: 5, failed: 1, committed: 1 },
    codes: { expired: 6 },
  });
  assert.deepEqual(earlier.states, { refused: 3, failed: 1 }, 'what was counted is not changed');
});

test('what a line says of time and health is read where it is such', () => {
  assert.equal(signedTimeOf(line('a', { createdAt: '1970-01-01T00:00:01Z' })), 1000);
  for (const createdAt of ['no time', 5, undefined])
    assert.equal(signedTimeOf(line('a', { createdAt })), undefined);
  const health = [{ check: 'x', ok: false, detail: 'y' }];
  assert.deepEqual(healthOf(line('a', { health })), health);
  assert.equal(healthOf(line('a', { health: [{ check: 'x' }] })), undefined);
  assert.equal(healthOf(undefined), undefined);
});

test('of a run the desk is told what it knows, within the bounds of a receipt', () => {
  const long = 'x'.repeat(5000);
  const run = toReceiptRun({
    ...line('a', { detail: long, output: ['secret'], code: undefined }),
    notices: Array.from({ length: 101 }, () => long),
    health: [{ check: long, ok: true }],
    sequence: 7,
  });
  assert.deepEqual(Object.keys(run).sort(), [
    ...['at', 'detail', 'health', 'notices', 'sequence', 'source', 'state', 'transaction'],
  ]);
  assert.deepEqual([run.detail?.length, run.notices?.length, run.notices?.[0]?.length], [4096, 100, 4096]);
  assert.deepEqual(run.health, [{ check: long.slice(0, 4096), ok: true }]);
  const many = Array.from({ length: 25 }, (_, i) => toReceiptRun(line(String(i), { toplevel: '/x' })));
  const claims = toClaims(many);
  assert.deepEqual([claims.length, claims[0]?.transaction, claims.at(-1)?.transaction], [20, '5', '24']);
  assert.ok(claims.every((c) => !('toplevel' in c)));
});

test('what the agent says is told with as much as it says', () => {
  const claim = { transaction: 'a', at: 'then', source: 'web.tar', state: 'refused' } as const;
  assert.equal(claimText(claim), 'web.tar: refused');
  assert.equal(
    claimText({ ...claim, sequence: 7, code: 'expired', detail: 'a\nb' }),
    'sequence 7: refused (expired): a b',
  );
});
