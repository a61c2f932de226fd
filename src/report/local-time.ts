/** Times for people: in this machine’s zone, which is shown with them. What programs read and what is signed stays UTC. */

const two = (n: number): string => String(n).padStart(2, '0');

/** `UTC`, or in git’s form: `+0100`. */
function zoneOf(time: Date): string {
  // Minutes behind UTC (ECMA-262, Date.prototype.getTimezoneOffset).
  const behind = time.getTimezoneOffset();
  if (behind === 0) return 'UTC';
  const minutes = Math.abs(behind);
  return `${behind < 0 ? '+' : '-'}${two(Math.floor(minutes / 60))}${two(minutes % 60)}`;
}

export const localTimes = { minute: localMinute, second: localSecond } as const;

export const localDate = (at: string): string => {
  const time = new Date(at);
  if (Number.isNaN(time.getTime())) return at;
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
};

/** `2026-11-29 12:03 +0100`. @param at ISO 8601; anything that isn’t a time stays as it is */
export function localMinute(at: string): string {
  const time = new Date(at);
  if (Number.isNaN(time.getTime())) return at;
  return `${localDate(at)} ${two(time.getHours())}:${two(time.getMinutes())} ${zoneOf(time)}`;
}

/** `2026-11-29 12:03:15 +0100`. @param at ISO 8601; anything that isn’t a time stays as it is */
export function localSecond(at: string): string {
  const time = new Date(at);
  if (Number.isNaN(time.getTime())) return at;
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(':');
  return `${localDate(at)} ${clock} ${zoneOf(time)}`;
}
