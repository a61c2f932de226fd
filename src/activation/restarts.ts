/**
 * Services that crash and are started again, over and over, and so are never `failed` (systemd.service(5), Restart=): with a RestartSec= that
 * keeps them under the start limit, as many have, systemd goes on for ever.
 */
import type { ProcessRunner } from '../core/ports.ts';

export interface Restarts {
  /** Since it was last started on purpose. */
  readonly count: number;
  /** It is down at this moment, and waits to be started again. */
  readonly waits: boolean;
}

/** Services that systemd has started again by itself, or is about to; undefined where systemctl does not answer. */
export async function listRestarts(run: ProcessRunner): Promise<Map<string, Restarts> | undefined> {
  const args = ['show', '--property=Id,NRestarts,SubState', '--no-pager', '*.service'];
  const { exitCode, stdout } = await run('systemctl', args, { timeout: 30_000 });
  return exitCode === 0 ? parseRestarts(stdout) : undefined;
}

/** @param shown blocks of `Property=value` with an empty line between them */
export function parseRestarts(shown: string): Map<string, Restarts> {
  const found = new Map<string, Restarts>();
  for (const block of shown.split('\n\n')) {
    const properties = new Map(
      block.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
    const unit = properties.get('Id');
    const count = Number(properties.get('NRestarts') ?? 0);
    const waits = /^auto-restart/.test(properties.get('SubState') ?? '');
    if (unit !== undefined && (count > 0 || waits)) found.set(unit, { count, waits });
  }
  return found;
}

/**
 * Which of them are not well: down now, or started again since the look before. One that came up at the second try and stays up is well.
 * @param before of the look before @param known units that were like that before the switch: they are no news
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
