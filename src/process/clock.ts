/**
 * The real clock: the only place that asks the system for the time.
 *
 * A process may be frozen for any length of time: a paused virtual machine, a frozen control group, SIGSTOP. CLOCK_MONOTONIC stops during a
 * suspend (clock_gettime(2)), but in none of these, and when the process continues, a deadline would expire before what it was waiting for
 * has had its turn: a medium that answered long ago would be called stalled. So the time by which a sleep overshoots its end does not
 * count.
 */
import { uptime } from 'node:os';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { given } from '../core/given.ts';
import type { Clock } from '../core/ports.ts';

/** Milliseconds. A long sleep is split into pieces of this length, so that little of it is lost if it is interrupted. */
const slice = 10_000;
/** Milliseconds by which a sleep may end late without our having been frozen: a machine may be busy. */
const mostLate = 1000;
/** Milliseconds in which what was waited for gets its turn, after we were frozen. */
const grace = 1000;

interface Timers {
  /** Milliseconds, of a clock that may run on while we are frozen. */
  readonly now: () => number;
  readonly sleep: (milliseconds: number, signal?: AbortSignal) => Promise<void>;
}

/** Time and sleep for a process that may be frozen. */
export function awakeClock(timers: Timers): Pick<Clock, 'monotonic' | 'sleep'> {
  /** Milliseconds for which we were frozen, and the time up to which we know of it. */
  let lost = 0;
  let known = Number.NEGATIVE_INFINITY;
  const monotonic = () => timers.now() - lost;
  /** @returns whether we were frozen in between */
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
