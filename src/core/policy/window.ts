/** Hours of the week in which something may be done, by the wall clock of a time zone. Pure. */
import * as z from 'zod';

export const days = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;

const timeOfDay = z.string().regex(/^([01][0-9]|2[0-3]):[0-5][0-9]$/, 'is not a time like 02:30');

export const windowSchema = z.strictObject({
  /** Days on which the window opens; it may close on the next. */
  days: z
    .array(z.enum(days))
    .nonempty()
    .default([...days]),
  from: timeOfDay,
  /** The first minute that is outside. Not later than `from`: on the day after. */
  to: timeOfDay,
  /** IANA name. */
  timeZone: z.string().max(64).refine(isTimeZone, 'is not a time zone').default('UTC'),
});

export type Window = z.infer<typeof windowSchema>;

/**
 * By the wall clock, so that a change to or from summer time moves no window: an hour that is skipped shortens a
 * window that lies in it, an hour that comes twice is inside both times.
 */
export function isOpen(window: Window, now: Date): boolean {
  return isOpenAt(window, formatterFor(window.timeZone), now);
}

const minute = 60_000;
/** A week and a day: a window that opens on one weekday only is at most this far. Minutes. */
const horizon = 8 * 24 * 60;

/** @returns the start of the first minute, from `now` on, in which the window is open */
export function nextOpening(window: Window, now: Date): Date | undefined {
  const formatter = formatterFor(window.timeZone);
  if (isOpenAt(window, formatter, now)) return now;
  const start = Math.ceil(now.getTime() / minute) * minute;
  for (let i = 0; i <= horizon; i++) {
    const at = new Date(start + i * minute);
    if (isOpenAt(window, formatter, at)) return at;
  }
  return undefined;
}

function isOpenAt(window: Window, formatter: Intl.DateTimeFormat, now: Date): boolean {
  const parts = Object.fromEntries(formatter.formatToParts(now).map((p) => [p.type, p.value]));
  const names: readonly string[] = days;
  const today = names.indexOf(parts.weekday?.toLowerCase() ?? '');
  const opensOn = (day: number) => window.days.some((d) => d === days[(day + 7) % 7]);
  const time = `${parts.hour}:${parts.minute}`;
  const { from, to } = window;
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
