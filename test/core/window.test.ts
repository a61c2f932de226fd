import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isOpen, nextOpening, windowSchema } from '../../src/core/policy/window.ts';

const nights = windowSchema.parse({
  days: ['fri'],
  from: '22:00',
  to: '04:00',
  timeZone: 'Europe/Berlin',
});
const at = (text: string) => new Date(text);

test('a window that closes after midnight belongs to the day on which it opens', () => {
  // 2026-11-27 is a Friday; Berlin is one hour ahead of UTC in winter.
  assert.equal(isOpen(nights, at('2026-11-27T20:59:59Z')), false);
  assert.equal(isOpen(nights, at('2026-11-27T21:00:00Z')), true);
  assert.equal(isOpen(nights, at('2026-11-28T02:59:59Z')), true);
  assert.equal(isOpen(nights, at('2026-11-28T03:00:00Z')), false);
  assert.equal(isOpen(nights, at('2026-11-28T21:30:00Z')), false, 'Saturday night');
});

test('a window goes by the wall clock when summer time begins and ends', () => {
  const early = windowSchema.parse({ from: '02:30', to: '03:30', timeZone: 'Europe/Berlin' });
  // 2026-03-29: 02:00 is followed by 03:00, at 01:00 UTC.
  assert.equal(isOpen(early, at('2026-03-29T00:59:00Z')), false);
  assert.equal(isOpen(early, at('2026-03-29T01:00:00Z')), true, '03:00, within the window');
  assert.equal(isOpen(early, at('2026-03-29T01:30:00Z')), false);
  // 2026-10-25: 03:00 is followed by 02:00, at 01:00 UTC; 02:30 comes twice.
  assert.equal(isOpen(early, at('2026-10-25T00:30:00Z')), true);
  assert.equal(isOpen(early, at('2026-10-25T01:15:00Z')), false, '02:15, the second time');
  assert.equal(isOpen(early, at('2026-10-25T01:30:00Z')), true);
});

test('from and to at the same time mean the whole day', () => {
  const sunday = windowSchema.parse({ days: ['sun'], from: '00:00', to: '00:00' });
  assert.equal(isOpen(sunday, at('2026-11-29T00:00:00Z')), true);
  assert.equal(isOpen(sunday, at('2026-11-29T23:59:59Z')), true);
  assert.equal(isOpen(sunday, at('2026-11-30T00:00:00Z')), false);
});

test('the next opening is open, and the minute before it is not', () => {
  const time = fc
    .record({ h: fc.integer({ min: 0, max: 23 }), m: fc.integer({ min: 0, max: 59 }) })
    .map(({ h, m }) => `${String(h).padStart(2, '0')}:${String(m).padStart(2, '0')}`);
  const window = fc.record({
    days: fc.uniqueArray(fc.constantFrom('mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'), { minLength: 1 }),
    from: time,
    to: time,
    timeZone: fc.constantFrom('UTC', 'Europe/Berlin', 'America/St_Johns', 'Pacific/Kiritimati'),
  });
  const now = fc.date({
    min: at('2026-01-01T00:00:00Z'),
    max: at('2027-12-31T00:00:00Z'),
    noInvalidDate: true,
  });
  fc.assert(
    fc.property(window, now, (input, when) => {
      const parsed = windowSchema.parse(input);
      const next = nextOpening(parsed, when);
      if (isOpen(parsed, when)) return assert.equal(next, when);
      // A window within an hour that is skipped may stay shut that week.
      if (next === undefined) return;
      assert.ok(isOpen(parsed, next) && next > when);
      const before = new Date(next.getTime() - 60_000);
      if (before > when) assert.ok(!isOpen(parsed, before));
    }),
    { numRuns: 60 },
  );
});

test('what is no time, no day and no time zone is refused', () => {
  for (const wrong of [
    { from: '24:00' },
    { to: '2:30' },
    { days: [] },
    { days: ['Fri'] },
    { timeZone: 'Mars/Base' },
  ])
    assert.equal(windowSchema.safeParse({ from: '01:00', to: '02:00', ...wrong }).success, false);
});
