/** How far the run under way is, for whoever looks on. Gone with the machine, and nothing relies on it. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';

const progress = z.strictObject({
  transaction: z.string().max(64),
  step: z.enum(['import', 'realise']),
  /** Paths. */
  done: z.number(),
  expected: z.number(),
  /** Bytes of NARs, where they are counted. */
  bytes: z.number().optional(),
  expectedBytes: z.number().optional(),
  /** Seconds since the step began. */
  seconds: z.number(),
});

export type Progress = z.infer<typeof progress>;

export const progressFile = (runtimeDirectory: string): string => join(runtimeDirectory, 'progress.json');

export async function writeProgress(runtimeDirectory: string, value: Progress): Promise<void> {
  const path = progressFile(runtimeDirectory);
  await mkdir(runtimeDirectory, { recursive: true });
  await writeFile(`${path}.new`, JSON.stringify(value), { mode: 0o644 });
  await rename(`${path}.new`, path);
}

/** Undefined where nothing is under way, or what is written there is none. */
export async function readProgress(runtimeDirectory: string): Promise<Progress | undefined> {
  try {
    return progress.safeParse(JSON.parse(await readFile(progressFile(runtimeDirectory), 'utf8'))).data;
  } catch {
    return undefined;
  }
}

/** Seconds that are left at the speed so far; undefined before there is one. */
export function secondsLeft({ done, expected, bytes, expectedBytes, seconds }: Progress): number | undefined {
  const share =
    bytes !== undefined && expectedBytes !== undefined && expectedBytes > 0
      ? bytes / expectedBytes
      : done / expected;
  return share > 0.02 && seconds >= 1 ? Math.round((seconds * (1 - share)) / share) : undefined;
}
