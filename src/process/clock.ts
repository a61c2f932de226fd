/**
 * The real clock: the only place that asks the system for the time.
 *
 * A process may stand still for any time: a virtual machine that is paused, a frozen control group, SIGSTOP. CLOCK_MONOTONIC stops in a
 * suspend (clock_gettime(2)), but in none of these, and when the process goes on, a deadline would be over before what it was waiting for
 * has had its turn: a medium would be called stalled that has long answered. So the time does not count in which we slept past the end of a sleep.
 */
import { uptime } from 'node:os';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { given } from '../core/given.ts';
import type { Clock } from '../core/ports.ts';

/** Of a long sleep, so that not much of it is lost where it is interrupted. Milliseconds. */
const slice = 10_000;
/** Milliseconds by which a sleep may end late without our having stood still: a machine may have much to do. */
const mostLate = 1000;
/** Milliseconds for which what was waited for has its turn, after we have stood still. */
const grace = 1000;

interface Timers {
  /** Milliseconds, of a clock that may run on while we stand still. */
  readonly now: () => number;
  readonly sleep: (milliseconds: number, signal?: AbortSignal) => Promise<void>;
}

/** Time and sleep of a process that may stand still. */
export function awakeClock(timers: Timers): Pick<Clock, 'monotonic' | 'sleep'> {
  /** Milliseconds in which we stood still, and until when we know of it. */
  let lost = 0;
  let known = Number.NEGATIVE_INFINITY;
  const monotonic = () => timers.now() - lost;
  /** @returns whether we stood still meanwhile */
  const sleepOnce = async (milliseconds: number, signal?: AbortSignal) => {
    const due = timers.now() + milliseconds;
    await timers.sleep(milliseconds, signal);
    const now = timers.now();
    if (now - due <= mostLate) return false;
    // Several sleeps may end late together.
    lost += Math.max(0, now - Math.max(due, known));
    known = now;
    return true;
  };
  return {
    monotonic,
    sleep: async (milliseconds, signal) => {
      const end = monotonic() + milliseconds;
      let left = milliseconds;
      let stoodStill: boolean;
      do {
        stoodStill = await sleepOnce(Math.min(left, slice), signal);
        left = end - monotonic();
      } while (left > 0);
      if (stoodStill) await sleepOnce(Math.min(milliseconds, grace), signal);
    },
  };
}

export const systemClock: Clock = {
  now: () => new Date(),
  uptime,
  kernel: () => Number(process.hrtime.bigint() / 1_000_000n),
  ...awakeClock({
    now: () => performance.now(),
    sleep: (milliseconds, signal) => sleep(milliseconds, undefined, given({ signal })),
  }),
};
