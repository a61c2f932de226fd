/**
 * Services that crash and are restarted over and over, and so are never `failed` (systemd.service(5), Restart=): with a RestartSec= that
 * keeps them under the start limit, as many have, systemd goes on for ever.
 */
import { given } from '../core/given.ts';
import type { ProcessRunner } from '../core/ports.ts';

export interface Restarts {
  /** Since it was last started on purpose. */
  readonly count: number;
  /** It is down at the moment, and waits to be restarted. */
  readonly waits: boolean;
  /** When it last came up, in milliseconds of CLOCK_MONOTONIC; undefined if it never did, or is down. */
  readonly upSince?: number;
}

/** Services that systemd has restarted by itself, or is about to; undefined if systemctl does not answer. */
export async function listRestarts(run: ProcessRunner): Promise<Map<string, Restarts> | undefined> {
  const args = [
    'show',
    '--property=Id,NRestarts,SubState,ActiveEnterTimestampMonotonic',
    '--no-pager',
    '*.service',
  ];
  const { exitCode, stdout } = await run('systemctl', args, { timeout: 30_000 });
  return exitCode === 0 ? parseRestarts(stdout) : undefined;
}

/** @param shown blocks of `Property=value`, separated by empty lines */
export function parseRestarts(shown: string): Map<string, Restarts> {
  const found = new Map<string, Restarts>();
  for (const block of shown.split('\n\n')) {
    const properties = new Map(
      block.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
    const unit = properties.get('Id');
    const count = Number(properties.get('NRestarts') ?? 0);
    const waits = /^auto-restart/.test(properties.get('SubState') ?? '');
    // Microseconds; 0 for a unit that never came up.
    const since = Number(properties.get('ActiveEnterTimestampMonotonic') ?? 0);
    const upSince = since > 0 && !waits ? since / 1000 : undefined;
    if (unit !== undefined && (count > 0 || waits)) found.set(unit, given({ count, waits, upSince }));
  }
  return found;
}

/**
 * Which of them are unhealthy: down now, or restarted since the previous look. One that came up at the second try and stays up is healthy.
 * @param before from the previous look @param known units that were already like that before the switch: they are no news
 */
export function unsteady(
  now: ReadonlyMap<string, Restarts>,
  before: ReadonlyMap<string, Restarts>,
  known: readonly string[],
): string[] {
  return [...now]
    .filter(([unit, { count, waits }]) => waits || count > (before.get(unit)?.count ?? 0))
    .map(([unit]) => unit)
    .filter((unit) => !known.includes(unit));
}

/** A unit that ran before the switch and had been restarted: its name and, after `=`, if known, for how many seconds it had run. */
export const restartedText = (unit: string, upFor: number | undefined): string =>
  upFor === undefined ? unit : `${unit}=${Math.round(upFor)}`;

/** For a unit that had run a hundred times as long as it is watched, a restart just now would be no accident. */
const noAccident = 100;

/**
 * How often a unit may be restarted while it is watched if it only does what it did before: it had run for that long, so it goes down no
 * more often than that. Threat: a unit that was restarted once, a year ago, and crashes over and over in the new system.
 * @param upFor seconds; undefined if unknown @param watched seconds
 */
function mostRestarts(upFor: number | undefined, watched: number): number {
  if (upFor === undefined) return Number.POSITIVE_INFINITY;
  return upFor > watched * noAccident ? 0 : 1 + Math.floor(watched / upFor);
}

/** What is seen of units over a while. */
export interface Watched {
  readonly first: ReadonlyMap<string, Restarts>;
  readonly now: ReadonlyMap<string, Restarts>;
  /** Between the two. */
  readonly seconds: number;
}

/** Which of them were already like that before the switch. @param restarted each in the form of `restartedText` */
export function likeBefore(restarted: readonly string[], { first, now, seconds }: Watched): string[] {
  return restarted.flatMap((text) => {
    const [unit = '', upFor] = text.split('=');
    const { count = 0, waits = false } = now.get(unit) ?? {};
    const seen = Math.max(0, count - (first.get(unit)?.count ?? 0)) + Number(waits);
    const most = mostRestarts(upFor === undefined ? undefined : Number(upFor), seconds);
    return seen <= most ? [unit] : [];
  });
}
