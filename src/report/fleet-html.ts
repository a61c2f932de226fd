/** What every part of the fleet page is made of. */
import { printable } from '../core/errors.ts';
import { type Condition, conditionWords, daysSince } from './fleet-condition.ts';

export const unknown = 'unknown';

/** Threat: a host’s receipt that injects markup into the page. No control characters, and nothing that HTML interprets. */
export function text(value: string | number | undefined): string {
  if (value === undefined) return unknown;
  return printable(String(value))
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

export const badge = (condition: Condition): string =>
  `<span class="badge ${condition}">${conditionWords[condition]}</span>`;

export function ago(at: string | undefined, now: Date): string {
  const days = daysSince(at, now);
  if (days === undefined) return unknown;
  const whole = Math.max(0, Math.floor(days));
  const words = whole === 0 ? 'today' : whole === 1 ? 'yesterday' : `${whole} days ago`;
  return `<time datetime="${text(at)}">${days < -1 ? 'in the future' : words}</time>`;
}
