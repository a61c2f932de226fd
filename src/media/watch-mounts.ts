/**
 * A hint whenever something is mounted or unmounted. inotify does not see mounts on a watched folder, and the only thing that reports
 * changes to /proc/self/mountinfo is poll(2), which is what `findmnt --poll` uses.
 */
import type { Clock, HeardProcess, ProcessListener } from '../core/ports.ts';

export interface MountWatch {
  close(): Promise<void>;
}

/** Milliseconds. The first pause before findmnt is started again, doubled each time, and the longest. */
const restartFrom = 1000;
const restartUpTo = 60_000;

/** Calls `onHint` when something is mounted or unmounted. Costs nothing while nothing happens. */
export function watchMounts(
  { listen, clock }: { listen: ProcessListener; clock: Clock },
  onHint: () => void,
): MountWatch {
  const closing = new AbortController();
  let heard: HeardProcess | undefined;
  const supervising = (async () => {
    for (let pause = restartFrom; !closing.signal.aborted; pause = Math.min(pause * 2, restartUpTo)) {
      heard = listen('findmnt', ['--poll', '--pairs', '--output', 'ACTION,TARGET'], () => {
        pause = restartFrom;
        onHint();
      });
      await heard.ended;
      // What happened while nobody was listening is found by looking.
      onHint();
      await clock.sleep(pause, closing.signal).catch(() => undefined);
    }
  })();
  return {
    close: async () => {
      closing.abort();
      await heard?.stop();
      await supervising;
    },
  };
}
