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
      assert.ok(next !== undefined && isOpen(parsed, next) && next > when);
      const before = new Date(next.getTime() - 60_000);
      if (before > when) assert.ok(!isOpen(parsed, before));
    }),
    { numRuns: 60 },
  );
});

/**
 * The same by other means: minutes since Monday by arithmetic, with the rules of summer time written out. 1970-01-05 was a Monday.
 */
const monday = Date.parse('1970-01-05T00:00:00Z');
const week = 7 * 24 * 60;

/** Minutes ahead of UTC. */
const offsets: Readonly<Record<string, (at: number) => number>> = {
  UTC: () => 0,
  'Pacific/Kiritimati': () => 14 * 60,
  // The last Sundays of March and October, at 01:00 UTC.
  'Europe/Berlin': (t) => {
    const year = new Date(t).getUTCFullYear();
    return t >= lastSunday(year, 2) + 3_600_000 && t < lastSunday(year, 9) + 3_600_000 ? 120 : 60;
  },
};

function lastSunday(year: number, month: number): number {
  const last = new Date(Date.UTC(year, month + 1, 0));
  return last.getTime() - last.getUTCDay() * 86_400_000;
}

const names = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
type Given = { days: readonly string[]; from: string; to: string; timeZone: string };

/** A window as spans of the week: each begins on one of its days, and ends where it ends. */
function isWithin({ days, from, to, timeZone }: Given, at: number): boolean {
  const wall = Math.floor((at - monday) / 60_000) + (offsets[timeZone] as (at: number) => number)(at);
  const minutes = (time: string) => Number(time.split(':')[0]) * 60 + Number(time.split(':')[1]);
  const length = (minutes(to) - minutes(from) + 1440) % 1440 || 1440;
  return days.some((day) => {
    const begins = names.indexOf(day as 'mon') * 1440 + minutes(from);
    return (((wall - begins) % week) + week) % week < length;
  });
}

const times = fc
  .integer({ min: 0, max: 1439 })
  .map((m) => `${String(Math.floor(m / 60)).padStart(2, '0')}:${String(m % 60).padStart(2, '0')}`);
const someWindow = fc.record({
  days: fc.uniqueArray(fc.constantFrom(...names), { minLength: 1, maxLength: 6 }),
  from: times,
  to: times,
  timeZone: fc.constantFrom('UTC', 'Europe/Berlin', 'Pacific/Kiritimati'),
});
/** Half of them near a change of the clock. */
const moments = fc.oneof(
  fc.integer({ min: Date.parse('2026-01-01T00:00:00Z'), max: Date.parse('2028-01-01T00:00:00Z') }),
  fc
    .tuple(fc.constantFrom('2026-03-29T01:00:00Z', '2026-10-25T01:00:00Z'), fc.integer({ min: -36, max: 36 }))
    .map(([text, hours]) => Date.parse(text) + hours * 3_600_000),
);

test('on every day of the week a window is open when an independent reckoning says so, and no other day', () => {
  fc.assert(
    fc.property(someWindow, moments, (given, t) => {
      assert.equal(
        isOpen(windowSchema.parse(given), new Date(t)),
        isWithin(given, t),
        new Date(t).toISOString(),
      );
    }),
    { numRuns: 3000 },
  );
  // The one that a slip would open on the wrong day: within one day, on some days only.
  const office = windowSchema.parse({ days: ['tue', 'thu'], from: '09:00', to: '17:00' });
  const open = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'].filter((_, day) =>
    isOpen(office, new Date(Date.parse('2026-11-23T12:00:00Z') + day * 86_400_000)),
  );
  assert.deepEqual(open, ['tue', 'thu']);
});

test('the next opening is the first minute that an independent reckoning finds, across changes of the clock too', () => {
  fc.assert(
    fc.property(someWindow, moments, (given, t) => {
      let expected = isWithin(given, t) ? t : Math.ceil(t / 60_000) * 60_000;
      const end = t + 15 * 86_400_000;
      while (expected <= end && !isWithin(given, expected)) expected += 60_000;
      assert.equal(nextOpening(windowSchema.parse(given), new Date(t))?.getTime(), expected);
    }),
    { numRuns: 200 },
  );
});

test('seconds before it opens, the next opening is the next minute', () => {
  const window = windowSchema.parse({ from: '02:00', to: '03:00' });
  for (const now of ['2026-11-28T01:59:00.001Z', '2026-11-28T01:59:59.999Z', '2026-11-28T01:00:00Z'])
    assert.equal(nextOpening(window, at(now))?.toISOString(), '2026-11-28T02:00:00.000Z');
  const next = nextOpening(window, at('2026-11-28T03:00:00Z'));
  assert.equal(next?.toISOString(), '2026-11-29T02:00:00.000Z');
});

test('a weekly window in an hour that is skipped opens a week later, and one that never opens is told within bounds', () => {
  const skipped = windowSchema.parse({
    days: ['sun'],
    from: '02:00',
    to: '02:30',
    timeZone: 'Europe/Berlin',
  });
  const next = nextOpening(skipped, at('2026-03-23T00:00:00Z'));
  assert.equal(next?.toISOString(), '2026-04-05T00:00:00.000Z');
  assert.equal(
    nextOpening(skipped, at('2026-03-22T01:30:00Z'))?.toISOString(),
    '2026-04-05T00:00:00.000Z',
    'two weeks away: its end was this very minute',
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
