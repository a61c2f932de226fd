/** One input on one target: refused, taken, or a finding. */
import { NixmakerError } from '../../src/core/errors.ts';
import type { Target } from './targets/target.ts';

/** Processor time for one input, in milliseconds, and memory that it may take at once, in kibibytes. Many times what any takes. */
const mostTime = 3000;
const mostMemory = 384 * 1024;

export interface Finding {
  readonly target: string;
  readonly data: Buffer;
  readonly why: string;
}

/** @returns undefined where all is as it should be */
export async function judge(target: Target, data: Buffer): Promise<Finding | undefined> {
  const memory = process.resourceUsage().maxRSS;
  const time = process.cpuUsage();
  const why = await problemOf(target, data);
  const used = process.cpuUsage(time);
  const spent = (used.user + used.system) / 1000;
  const taken = process.resourceUsage().maxRSS - memory;
  const told =
    why ??
    (spent > mostTime ? `it took ${Math.round(spent)} ms` : undefined) ??
    (taken > mostMemory ? `it took ${Math.round(taken / 1024)} MiB` : undefined);
  return told === undefined ? undefined : { target: target.name, data, why: told };
}

async function problemOf({ run }: Target, data: Buffer): Promise<string | undefined> {
  try {
    await run(data);
    return undefined;
  } catch (error) {
    if (error instanceof NixmakerError && error.code !== 'internal') return undefined;
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}
