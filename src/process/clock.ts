/** The real clock: the only place that asks the system for the time. */
import { uptime } from 'node:os';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { given } from '../core/given.ts';
import type { Clock } from '../core/ports.ts';

export const systemClock: Clock = {
  now: () => new Date(),
  monotonic: () => performance.now(),
  uptime,
  sleep: (milliseconds, signal) => sleep(milliseconds, undefined, given({ signal })),
};
