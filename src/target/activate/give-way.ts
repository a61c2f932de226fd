/**
 * Long work under the lock gives way to whoever is to judge a system that was started. Threat: a release that is staged meanwhile needs
 * room, and the collection for it outlasts a person’s time to confirm: a good system, confirmed in time, would be rolled back.
 */
import { given } from '../../core/given.ts';
import { readJournal } from '../../state/journal.ts';
import { isLockWanted } from '../../state/lock.ts';
import type { Machine } from '../machine/machine.ts';
import { findPending } from '../machine/pending.ts';

/** Milliseconds. Whoever wants the lock waits for a minute at least (confirm.ts). */
const pause = 1000;

/**
 * The lock must be held.
 * @param work is given a signal that comes as soon as somebody waits for the lock while a system waits to be judged
 * @returns what the work came to; undefined if that was so before it began
 */
export async function givingWay<T>(
  { clock, settings }: Pick<Machine, 'clock' | 'settings'>,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal | undefined) => Promise<T>,
): Promise<{ readonly result: T | undefined; readonly gaveWay: boolean }> {
  // None can come while we hold the lock.
  const { records } = await readJournal(settings.stateDirectory);
  if (findPending(records) === undefined) return { result: await work(signal), gaveWay: false };
  const isWanted = () => isLockWanted(settings.stateDirectory);
  if (await isWanted()) return { result: undefined, gaveWay: true };
  const [wanted, over] = [new AbortController(), new AbortController()];
  const watch = async () => {
    while (!over.signal.aborted && !wanted.signal.aborted) {
      await clock.sleep(pause, over.signal).catch(() => undefined);
      if (!over.signal.aborted && (await isWanted())) wanted.abort();
    }
  };
  const watching = watch();
  try {
    const either = AbortSignal.any([wanted.signal, ...Object.values(given({ signal }))]);
    return { result: await work(either), gaveWay: wanted.signal.aborted };
  } finally {
    over.abort();
    await watching;
  }
}
