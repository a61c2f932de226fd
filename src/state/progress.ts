/** The progress of the current run, for whoever watches. Gone with a restart, and nothing relies on it. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { limits } from '../core/limits.ts';
import * as z from '../core/zod.ts';
import { readForeign } from '../files/foreign.ts';
import { writeBeside } from '../files/write.ts';

const progress = z.strictObject({
  transaction: z.string().check(z.maxLength(64)),
  step: z.enum(['import', 'realise']),
  /** Paths. */
  done: z.number(),
  expected: z.number(),
  /** Bytes of NARs, if they are counted. */
  bytes: z.optional(z.number()),
  expectedBytes: z.optional(z.number()),
  /** Seconds since the step began. */
  seconds: z.number(),
});

export type Progress = z.infer<typeof progress>;

const fileName = 'progress.json';

export const progressFile = (runtimeDirectory: string): string => join(runtimeDirectory, fileName);

/** @param runtimeDirectory this process’s: root has its own (machine/machine.ts) */
export async function writeProgress(runtimeDirectory: string, value: Progress): Promise<void> {
  await mkdir(runtimeDirectory, { recursive: true });
  await writeBeside(progressFile(runtimeDirectory), (out) => out.writeFile(JSON.stringify(value)));
}

/** Undefined if nothing is under way, or the file is not a progress file. */
export async function readProgress(runtimeDirectory: string): Promise<Progress | undefined> {
  try {
    const bytes = await readForeign(runtimeDirectory, fileName, limits.progressBytes);
    return progress.safeParse(JSON.parse(bytes?.toString('utf8') ?? '')).data;
  } catch {
    return undefined;
  }
}

/** Seconds left at the speed so far; undefined before there is one. */
export function secondsLeft({ done, expected, bytes, expectedBytes, seconds }: Progress): number | undefined {
  const share =
    bytes !== undefined && expectedBytes !== undefined && expectedBytes > 0
      ? bytes / expectedBytes
      : done / expected;
  return share > 0.02 && seconds >= 1 ? Math.round((seconds * (1 - share)) / share) : undefined;
}
