/** What the agent waits for and can’t read, for whoever watches. Gone with a restart: the next agent finds out again. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { limits } from '../core/limits.ts';
import { noWaits, type Waits, waitsParser } from '../core/run/waits.ts';
import { readForeign } from '../files/foreign.ts';
import { writeBeside } from '../files/write.ts';

const fileName = 'waits.json';

export const waitsFile = (runtimeDirectory: string): string => join(runtimeDirectory, fileName);

/** Not flushed, and in memory on most machines: it is also written while the disk is full. */
export async function writeWaits(runtimeDirectory: string, value: Waits): Promise<void> {
  await mkdir(runtimeDirectory, { recursive: true });
  await writeBeside(waitsFile(runtimeDirectory), (out) => out.writeFile(JSON.stringify(value)));
}

/** Nothing if no agent has written it, or the file is not one of these. */
export async function readWaits(runtimeDirectory: string): Promise<Waits> {
  try {
    const bytes = await readForeign(runtimeDirectory, fileName, limits.waitsBytes);
    return waitsParser.safeParse(JSON.parse(bytes?.toString('utf8') ?? '')).data ?? noWaits;
  } catch {
    return noWaits;
  }
}
