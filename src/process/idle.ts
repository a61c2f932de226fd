/** Long reading that nothing else is to wait for. */
import { setPriority } from 'node:os';
import type { ProcessRunner } from '../core/ports.ts';

/**
 * This process uses processor and disk only when nobody else does (ioprio_set(2), class idle; sched(7)). Node.js reads files for this on its
 * main thread, whose number is the process’s. Where it can’t be had, the work goes on as usual.
 */
export async function becomeIdle(run: ProcessRunner): Promise<void> {
  setPriority(19);
  await run('ionice', ['--class', 'idle', '--ignore', '--pid', String(process.pid)], { timeout: 10_000 });
}
