/** What the agent waits for and can’t read, for whoever looks on. Gone with the machine: the agent that starts then finds it out anew. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { limits } from '../core/limits.ts';
import { noWaits, type Waits, waitsParser } from '../core/run/waits.ts';
import { readForeign } from '../files/foreign.ts';
import { writeBeside } from '../files/write.ts';

const fileName = 'waits.json';

export const waitsFile = (runtimeDirectory: string): string => join(runtimeDirectory, fileName);

/** Not flushed, and in memory on most machines: it is written while the disk is full, too. */
export async function writeWaits(runtimeDirectory: string, value: Waits): Promise<void> {
  await mkdir(runtimeDirectory, { recursive: true });
  await writeBeside(waitsFile(runtimeDirectory), (out) => out.writeFile(JSON.stringify(value)));
}

/** Nothing where no agent has written it, or what lies there is none. */
export async function readWaits(runtimeDirectory: string): Promise<Waits> {
  try {
    const bytes = await readForeign(runtimeDirectory, fileName, limits.waitsBytes);
    return waitsParser.safeParse(JSON.parse(bytes?.toString('utf8') ?? '')).data ?? noWaits;
  } catch {
    return noWaits;
  }
}
