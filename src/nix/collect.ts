/** Nix’s own garbage collection, bounded in bytes and in time. What it may delete is for Nix to say: it knows every root. */
import { NixmakerError } from '../core/errors.ts';
import type { Clock } from '../core/ports.ts';
import { legacyNix, type NixContext } from './command.ts';
import { type Collected, DaemonConnection } from './daemon-connection.ts';

export type { Collected };

/** Collects everything. */
export const everything = Number.MAX_SAFE_INTEGER;

export interface Bounds {
  /** It ends once more than this many bytes are free. */
  readonly bytes: number;
  /** Milliseconds; then it is stopped, even midway. */
  readonly time: number;
}

/**
 * @returns what is gone; undefined if time ran out first or the context’s signal came, because nobody then reports how much it was. What
 * was deleted by then stays deleted, and nothing needed is among it.
 * @throws NixmakerError `nix-unavailable`, `nix-failed`
 */
export function collectGarbage(
  context: NixContext,
  clock: Pick<Clock, 'monotonic' | 'sleep'>,
  bounds: Bounds,
): Promise<Collected | undefined> {
  return context.daemonSocket === undefined
    ? byProgram(context, clock, bounds)
    : byDaemon(context, context.daemonSocket, { clock, ...bounds });
}

async function byDaemon(
  { signal }: Pick<NixContext, 'signal'>,
  socket: string,
  { clock, bytes, time }: Bounds & { readonly clock: Pick<Clock, 'sleep'> },
): Promise<Collected | undefined> {
  const connection = await DaemonConnection.open(socket);
  const over = new AbortController();
  let isEnded = false;
  const end = () => {
    isEnded = true;
    connection.close();
  };
  const watch = clock.sleep(time, over.signal).then(end, () => undefined);
  if (signal?.aborted === true) end();
  signal?.addEventListener('abort', end);
  try {
    return await connection.collectGarbage(bytes);
  } catch (error) {
    if (isEnded) return undefined;
    throw error;
  } finally {
    over.abort();
    signal?.removeEventListener('abort', end);
    connection.close();
    await watch;
  }
}

/** If no daemon serves the store. */
async function byProgram(
  context: NixContext,
  clock: Pick<Clock, 'monotonic'>,
  { bytes, time }: Bounds,
): Promise<Collected | undefined> {
  const args = ['--gc', '--max-freed', String(bytes)];
  const started = clock.monotonic();
  try {
    const said = await legacyNix(context, { program: 'nix-store', args }, { timeout: time });
    return { paths: Number(/^(\d+) store paths deleted/m.exec(said)?.[1] ?? 0), bytes: bytesIn(said) };
  } catch (error) {
    const isEnded = context.signal?.aborted === true || clock.monotonic() - started >= time;
    if (error instanceof NixmakerError && isEnded) return undefined;
    throw error;
  }
}

const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];

/** `3 store paths deleted, 1.5 MiB freed` (Nix src/nix/nix-store/nix-store.cc, PrintFreed; src/libutil/util.cc, renderSize). */
function bytesIn(said: string): number {
  const [, number = '0', unit = 'bytes'] = /deleted, ([\d.]+) (\w+) freed/.exec(said) ?? [];
  return Math.round(Number(number) * 1024 ** Math.max(0, units.indexOf(unit)));
}
