import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RebootPolicy } from '../../src/core/policy/policy.ts';
import { windowSchema } from '../../src/core/policy/window.ts';
import { planConfirm } from '../../src/core/run/confirm.ts';
import { rebootReason, rebootTiming } from '../../src/core/run/reboot.ts';

const run = { toplevel: 'new', bootId: 'first', askedIn: undefined };
const started = { bootId: 'second', booted: 'new', profile: 'new', late: false };

test('what is done about a pending system follows from what was booted and what is installed', () => {
  const cases = [
    [{}, { bootId: 'first', booted: 'old' }, 'wait'],
    [{}, {}, 'check'],
    [{}, { booted: 'old' }, 'not-booted'],
    [{}, { booted: undefined }, 'wait'],
    [{}, { profile: 'other' }, 'supersede'],
    [{}, { profile: 'other', booted: 'other' }, 'supersede'],
    [{ askedIn: 'second' }, {}, 'wait'],
    [{ askedIn: 'second' }, { late: true }, 'not-confirmed'],
    [{ askedIn: 'second' }, { bootId: 'third' }, 'not-confirmed'],
    [{ askedIn: 'second' }, { bootId: 'third', booted: 'old' }, 'not-booted'],
  ] as const;
  for (const [of, on, plan] of cases)
    assert.equal(planConfirm({ ...run, ...of }, { ...started, ...on }), plan, JSON.stringify([of, on]));
});

const policy = (when: RebootPolicy['when']): RebootPolicy => ({ when, delay: 0 });
const facts = { pending: false, runsRolledBack: false, switched: false, differs: [] };

test('a machine is restarted for what the policy says, and for nothing else', () => {
  const everything = { pending: true, runsRolledBack: true, switched: true, differs: ['kernel'] };
  assert.equal(rebootReason(policy('never'), everything), undefined);
  assert.equal(rebootReason(policy('always'), facts), undefined);
  assert.match(rebootReason(policy('when-needed'), { ...facts, pending: true }) ?? '', /installed/);
  assert.match(rebootReason(policy('when-needed'), { ...facts, runsRolledBack: true }) ?? '', /rolled back/);
  assert.equal(rebootReason(policy('when-needed'), { ...facts, switched: true }), undefined);
  // Somebody else may have changed the kernel with nixos-rebuild: that is theirs to decide.
  assert.equal(rebootReason(policy('when-needed'), { ...facts, differs: ['kernel'] }), undefined);
  assert.match(
    rebootReason(policy('when-needed'), { ...facts, switched: true, differs: ['kernel'] }) ?? '',
    /kernel/,
  );
  assert.match(rebootReason(policy('always'), { ...facts, switched: true }) ?? '', /activated/);
});

test('a restart waits for its window, and a window for a clock that is set', () => {
  const nightly = { ...policy('always'), window: windowSchema.parse({ from: '02:00', to: '03:00' }) };
  const noon = new Date('2026-11-24T12:00:00Z');
  assert.deepEqual(
    rebootTiming(policy('always'), new Date(0), noon),
    { now: true },
    'without a window no clock is needed',
  );
  assert.deepEqual(rebootTiming(nightly, new Date('2026-11-24T02:30:00Z'), undefined), { now: true });
  const waits = rebootTiming(nightly, noon, undefined);
  assert.ok(!waits.now && waits.again === 14 * 3_600_000 && waits.because.includes('2026-11-25T02:00'));
  const [monday, inTime] = [new Date('2026-11-23T00:00:00Z'), new Date('2026-11-24T02:30:00Z')];
  assert.deepEqual(
    rebootTiming(nightly, inTime, monday),
    { now: true },
    'a right clock, and a signed time before it',
  );
  assert.deepEqual(rebootTiming(nightly, inTime, inTime), { now: true }, 'signed this very second');
  const behind = rebootTiming(nightly, inTime, noon);
  assert.ok(!behind.now && behind.because.includes('clock'), 'a day in which it was signed is not over');
  const unset = rebootTiming(nightly, new Date('1970-01-01T02:30:00Z'), noon);
  assert.ok(!unset.now && unset.because.includes('clock'));
});
