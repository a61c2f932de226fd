/** Hours of the week in which something may be done, by the wall clock of a time zone. Pure. */
import * as z from '../zod.ts';

export const days = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;

const timeOfDay = z.string().check(z.regex(/^([01][0-9]|2[0-3]):[0-5][0-9]$/, 'is not a time such as 02:30'));

export const windowSchema = z.strictObject({
  /** Days on which the window opens; it may close on the next. */
  days: z._default(z.array(z.enum(days)).check(z.minLength(1)), [...days]),
  from: timeOfDay,
  /** The first minute outside. If not later than `from`, it is on the next day. */
  to: timeOfDay,
  /** IANA name. */
  timeZone: z._default(z.string().check(z.maxLength(64), z.refine(isTimeZone, 'is not a time zone')), 'UTC'),
});

export type Window = z.infer<typeof windowSchema>;

/**
 * By the wall clock, so daylight saving time moves no window: a skipped hour shortens a
 * window that includes it, a repeated hour is inside both times.
 */
export function isOpen(window: Window, now: Date): boolean {
  return isOpenAt(window, formatterFor(window.timeZone), now);
}

const minute = 60_000;
const minutesOfDay = 24 * 60;
/**
 * Two weeks and a day: a window on a single weekday is at most a week away, and one within an hour skipped that week
 * opens in the next. Minutes.
 */
const horizon = 15 * minutesOfDay;

/** @returns the start of the first minute, from `now` on, in which the window is open */
export function nextOpening(window: Window, now: Date): Date | undefined {
  const formatter = formatterFor(window.timeZone);
  if (isOpenAt(window, formatter, now)) return now;
  const start = Math.ceil(now.getTime() / minute) * minute;
  const wallAt = (minutes: number) => wallClock(formatter, new Date(start + minutes * minute));
  for (let at = 0; at <= horizon; ) {
    const wall = wallAt(at);
    if (isOpenBy(window, wall)) return new Date(start + at * minute);
    at += untilChange(wall, { from: minuteOf(window.from), later: (minutes) => wallAt(at + minutes) });
  }
  return undefined;
}

/**
 * Minutes during which a shut window can’t open: until its next start or, if the clock changes before
 * that, half as many, and half again, down to one.
 */
function untilChange(
  wall: WallClock,
  { from, later }: { from: number; later: (minutes: number) => WallClock },
): number {
  const until = (from - (wall.minute % minutesOfDay) + minutesOfDay) % minutesOfDay || minutesOfDay;
  const isEven = (minutes: number) => later(minutes).minute === (wall.minute + minutes) % (7 * minutesOfDay);
  let step = until;
  while (step > 1 && !isEven(step)) step = Math.floor(step / 2);
  return step;
}

/** What a wall clock shows. */
interface WallClock {
  /** Since Monday, 00:00. */
  readonly minute: number;
}

function wallClock(formatter: Intl.DateTimeFormat, at: Date): WallClock {
  const parts = Object.fromEntries(formatter.formatToParts(at).map((p) => [p.type, p.value]));
  const names: readonly string[] = days;
  const day = names.indexOf(parts.weekday?.toLowerCase() ?? '');
  return { minute: day * minutesOfDay + minuteOf(`${parts.hour}:${parts.minute}`) };
}

const minuteOf = (time: string) => Number(time.slice(0, 2)) * 60 + Number(time.slice(3));

const isOpenAt = (window: Window, formatter: Intl.DateTimeFormat, at: Date) =>
  isOpenBy(window, wallClock(formatter, at));

function isOpenBy(window: Window, { minute }: WallClock): boolean {
  const today = Math.floor(minute / minutesOfDay);
  const time = minute % minutesOfDay;
  const opensOn = (day: number) => window.days.some((d) => d === days[(day + 7) % 7]);
  const [from, to] = [minuteOf(window.from), minuteOf(window.to)];
  if (from < to) return opensOn(today) && from <= time && time < to;
  return (opensOn(today) && from <= time) || (opensOn(today - 1) && time < to);
}

function formatterFor(timeZone: string): Intl.DateTimeFormat {
  return new Intl.DateTimeFormat('en-GB', {
    timeZone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
}

function isTimeZone(name: string): boolean {
  try {
    formatterFor(name);
    return true;
  } catch {
    return false;
  }
}
