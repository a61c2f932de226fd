/**
 * What the agent is working on, so that a file that ends the agent itself (a crash, out of memory, the watchdog) can be identified
 * afterwards. While there is work, a mark is kept in the runtime folder: it outlives the process but not the machine, so no file is blamed
 * for a power cut. How often work on a file was cut off is kept with the state, flushed.
 */
import { mkdir, readFile, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ifMissing } from '../core/errno.ts';
import * as z from '../core/zod.ts';
import { namesIn, readIfThere } from '../files/read.ts';
import { withChecksum } from './checksummed.ts';
import { writeDurably } from './durable.ts';
import { anySchema } from './stored.ts';
import { readChecked } from './two-copies.ts';

const mark = z.strictObject({
  schema: z.literal(1),
  /** The boot, in case the runtime folder outlives the machine (a sandbox). */
  bootId: z.string().check(z.maxLength(64)),
  pid: z.int(),
  /** When that process began (proc_pid_stat(5), starttime): another may have its number by now. */
  started: z.string().check(z.maxLength(32)),
  fingerprint: z.string().check(z.maxLength(64)),
  /** Name of the file, for people. */
  source: z.string().check(z.maxLength(4096)),
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

/** Removes the marks of processes that no longer exist. */
export async function takeMarksOfTheDead(runtimeDirectory: string): Promise<Mark[]> {
  const found: Mark[] = [];
  for (const name of await namesIn(folderOf(runtimeDirectory))) {
    const pid = Number.parseInt(name, 10) || 0;
    const text = await readIfThere(fileOf(runtimeDirectory, pid));
    const parsed = mark.safeParse(jsonOf(text));
    if (parsed.success && parsed.data.started === (await startOf(pid))) continue;
    await removeMark(runtimeDirectory, pid);
    // One that was being written when its process ended tells nothing.
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

/** When a process began, in clock ticks since boot; undefined if there is none. */
export async function startOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // The name in parentheses may contain anything; the third field comes after it, and this is the 22nd.
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')[19];
}

const ledger = z.looseObject({
  schema: anySchema,
  /** Newest last. */
  cutOff: z.array(z.looseObject({ fingerprint: z.string(), source: z.string(), times: z.int() })),
});

export type CutOff = z.infer<typeof ledger>['cutOff'][number];

const ledgerFile = (stateDirectory: string) => join(stateDirectory, 'cut-off');

/** Files remembered; beyond that the oldest are forgotten. */
const mostRemembered = 64;

/** Undefined if it is damaged: nothing is then known, and whatever is wrong is discovered again. */
export async function readCutOffs(stateDirectory: string): Promise<CutOff[] | undefined> {
  const text = await readIfThere(ledgerFile(stateDirectory));
  return text === undefined ? [] : readChecked(text, ledger)?.cutOff;
}

export const writeCutOffs = (stateDirectory: string, cutOff: readonly CutOff[]): Promise<void> =>
  writeDurably(
    ledgerFile(stateDirectory),
    withChecksum({ schema: 1, cutOff: cutOff.slice(-mostRemembered) }),
  );
