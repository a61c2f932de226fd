/**
 * What the agent is at work on, so that a file which ends the agent itself (a crash, too much memory, the watchdog) is known
 * afterwards. A mark lies in the runtime folder while there is work: it outlives the process and not the machine, so no file is
 * blamed for a power cut. How often work on a file was cut off is kept with the state, flushed.
 */
import { mkdir, readFile, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { ifMissing } from '../core/errno.ts';
import { namesIn, readIfThere } from '../files/read.ts';
import { withChecksum } from './checksummed.ts';
import { writeDurably } from './durable.ts';
import { anySchema } from './stored.ts';
import { readChecked } from './two-copies.ts';

const mark = z.strictObject({
  schema: z.literal(1),
  /** Of the boot, where the runtime folder outlives the machine (a sandbox). */
  bootId: z.string().max(64),
  pid: z.number().int(),
  /** When that process began (proc_pid_stat(5), starttime): another may have its number by now. */
  started: z.string().max(32),
  fingerprint: z.string().max(64),
  /** Name of the file, for people. */
  source: z.string().max(4096),
});

export type Mark = z.infer<typeof mark>;

const folderOf = (runtimeDirectory: string) => join(runtimeDirectory, 'in-hand');
const fileOf = (runtimeDirectory: string, pid: number) => join(folderOf(runtimeDirectory), `${pid}.json`);

/** Not flushed: it has to survive this process, and must not survive the machine. */
export async function writeMark(runtimeDirectory: string, value: Mark): Promise<void> {
  await mkdir(folderOf(runtimeDirectory), { recursive: true });
  await writeFile(fileOf(runtimeDirectory, value.pid), JSON.stringify(value));
}

export const removeMark = (runtimeDirectory: string, pid: number): Promise<void> =>
  unlink(fileOf(runtimeDirectory, pid)).catch(ifMissing(undefined));

/** Takes away the marks of processes that are no more. */
export async function takeMarksOfTheDead(runtimeDirectory: string): Promise<Mark[]> {
  const found: Mark[] = [];
  for (const name of await namesIn(folderOf(runtimeDirectory))) {
    const pid = Number.parseInt(name, 10) || 0;
    const text = await readIfThere(fileOf(runtimeDirectory, pid));
    const parsed = mark.safeParse(jsonOf(text));
    if (parsed.success && parsed.data.started === (await startOf(pid))) continue;
    await removeMark(runtimeDirectory, pid);
    // One that was being written when its process ended says nothing.
    if (parsed.success) found.push(parsed.data);
  }
  return found;
}

function jsonOf(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? 'null');
  } catch {
    return undefined;
  }
}

/** When a process began, in clock ticks since the boot; undefined where there is none. */
export async function startOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // The name in parentheses may hold anything; after it comes the third field, and this is the 22nd.
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')[19];
}

const ledger = z.looseObject({
  schema: anySchema,
  /** The newest last. */
  cutOff: z.array(z.looseObject({ fingerprint: z.string(), source: z.string(), times: z.number().int() })),
});

export type CutOff = z.infer<typeof ledger>['cutOff'][number];

const ledgerFile = (stateDirectory: string) => join(stateDirectory, 'cut-off');

/** Files remembered; beyond these the oldest are forgotten. */
const mostRemembered = 64;

/** Undefined where it is damaged: then nothing is known, and whatever is wrong is found out anew. */
export async function readCutOffs(stateDirectory: string): Promise<CutOff[] | undefined> {
  const text = await readIfThere(ledgerFile(stateDirectory));
  return text === undefined ? [] : readChecked(text, ledger)?.cutOff;
}

export const writeCutOffs = (stateDirectory: string, cutOff: readonly CutOff[]): Promise<void> =>
  writeDurably(
    ledgerFile(stateDirectory),
    withChecksum({ schema: 1, cutOff: cutOff.slice(-mostRemembered) }),
  );
