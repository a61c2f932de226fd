/**
 * The journal of transitions: one checksummed line each, flushed before the caller continues. What can’t be read (a line torn by a power
 * cut, zeros, garbage, a newer nixmaker’s line) is skipped and counted, wherever it is.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ifMissing } from '../core/errno.ts';
import { limits } from '../core/limits.ts';
import {
  type Earlier,
  earlierParser,
  foreignParser,
  type JournalRecord,
  nothingEarlier,
  recordParser,
  withoutBeyond,
} from '../core/run/journal.ts';
import { Retained } from '../core/run/retention.ts';
import { makeFolder, syncFolder } from '../files/folder.ts';
import { isWrongKind, openForeignFile } from '../files/foreign.ts';
import { linesOf } from '../files/lines.ts';
import { writeWhole } from '../files/write.ts';
import { readChecksummed, withChecksum } from './checksummed.ts';
import { asOurFault } from './own.ts';

export { type Earlier, failedDigests, type JournalRecord, lastOfEach } from '../core/run/journal.ts';

export interface JournalContents {
  readonly records: readonly JournalRecord[];
  /** Lines that are torn, damaged, or written by a newer nixmaker, including those that are gone by now. */
  readonly unreadable: number;
  /** How many of them are intact but in a form we don’t know, a newer nixmaker’s; omitted if there are none. */
  readonly newer?: number;
  /** Runs that are no longer in the journal; undefined if there are none. */
  readonly earlier?: Earlier;
}

const fileName = 'journal';
const journalFile = (stateDirectory: string) => join(stateDirectory, fileName);

export async function appendJournal(stateDirectory: string, entry: JournalRecord): Promise<void> {
  const path = journalFile(stateDirectory);
  await makeFolder(dirname(path));
  const file = await open(path, 'a+', 0o644);
  try {
    const { size, mode } = await file.stat();
    // Created by a root command under a strict umask, before nixmaker set its own: the agent could not read it.
    if ((mode & 0o777) !== 0o644) await file.chmod(0o644);
    const last = size > 0 ? await file.read(Buffer.alloc(1), 0, 1, size - 1) : undefined;
    // After a torn line ours must begin on a new one, or both would be lost.
    const begin = last !== undefined && last.buffer[0] !== 0x0a ? '\n' : '';
    await file.appendFile(begin + withChecksum(entry));
    await file.sync();
    if (size === 0) await syncFolder(dirname(path));
  } finally {
    await file.close();
  }
}

/**
 * Safe at any time, even while another process writes: compaction makes a new file.
 * @param newest how many bytes to look at, in a journal that another user writes
 */
export async function readJournal(
  stateDirectory: string,
  newest = Number.POSITIVE_INFINITY,
): Promise<JournalContents> {
  const all: JournalRecord[] = [];
  const beyond = new Set<string>();
  let [damaged, newer] = [0, 0];
  let earlier: Earlier | undefined;
  for await (const line of journalLines(stateDirectory, newest)) {
    if (line.kind === 'record') {
      all.push(line.record);
      beyond.delete(line.record.transaction);
    } else if (line.kind === 'earlier') earlier = line.earlier;
    else if (line.kind === 'damaged') damaged += 1;
    else {
      newer += 1;
      if (line.transaction !== undefined) beyond.add(line.transaction);
    }
  }
  const known = { records: withoutBeyond(all, beyond), ...(newer > 0 ? { newer } : {}) };
  return earlier === undefined
    ? { ...known, unreadable: damaged + newer }
    : { ...known, unreadable: damaged + newer + earlier.unreadable, earlier };
}

/** The agent’s journal. Anything else in its place counts as an unreadable line. */
export async function readAgentJournal(stateDirectory: string): Promise<JournalContents> {
  try {
    return await readJournal(stateDirectory, limits.agentJournalBytes);
  } catch (error) {
    if (!isWrongKind(error)) throw error;
    return { records: [], unreadable: 1 };
  }
}

type Line =
  | { readonly kind: 'record'; readonly record: JournalRecord; readonly bytes: number }
  | { readonly kind: 'earlier'; readonly earlier: Earlier }
  /** Intact, but not in a form we know: a newer nixmaker’s, which may be installed again. */
  | { readonly kind: 'foreign'; readonly text: string; readonly transaction: string | undefined }
  | { readonly kind: 'damaged' };

async function* journalLines(
  stateDirectory: string,
  newest = Number.POSITIVE_INFINITY,
): AsyncGenerator<Line> {
  const file = await openForeignFile(stateDirectory, fileName).catch(asOurFault);
  if (file === undefined) return;
  try {
    const { size } = await file.stat();
    const range = { from: Math.max(0, size - newest), to: size };
    for await (const line of linesOf(file, limits.journalLineBytes, range)) yield readLine(line);
  } finally {
    await file.close();
  }
}

function readLine(line: Buffer | undefined): Line {
  const value = line === undefined ? undefined : readChecksummed(line);
  if (line === undefined || value === undefined) return { kind: 'damaged' };
  const parsed = recordParser.safeParse(value);
  if (parsed.success) return { kind: 'record', record: parsed.data, bytes: line.length + 1 };
  const counted = earlierParser.safeParse(value);
  if (counted.success) return { kind: 'earlier', earlier: counted.data.earlier };
  const { transaction } = foreignParser.safeParse(value).data ?? {};
  return { kind: 'foreign', text: line.toString('utf8'), transaction };
}

const retention = {
  runs: limits.journalRuns,
  stepsOf: 10,
  bytes: limits.journalHistoryBytes,
  changes: 32,
};

/** Lines of a newer nixmaker that are kept: it would have kept what it needs of them itself. */
const mostForeign = 500;

/**
 * If the journal has grown too large, rewrites it: what is needed, and the newest history (core/run/retention.ts). The lock must be held.
 * Wherever this is cut off, either the old or the new file is there, complete.
 */
export async function compactJournal(stateDirectory: string): Promise<void> {
  const path = journalFile(stateDirectory);
  const size = await open(path, 'r').then(sizeOf).catch(ifMissing(0));
  if (size <= limits.journalBytes) return;
  const { records, earlier, foreign } = await retain(stateDirectory);
  const lines = [...[{ schema: 1, earlier }, ...records].map(withChecksum), ...foreign.map((l) => `${l}\n`)];
  await writeWhole(path, lines.join(''));
}

async function sizeOf(file: FileHandle): Promise<number> {
  const { size } = await file.stat().finally(() => file.close());
  return size;
}

async function retain(stateDirectory: string) {
  let earlier = nothingEarlier;
  const retained = new Retained(retention);
  const foreign: string[] = [];
  let damaged = 0;
  for await (const line of journalLines(stateDirectory)) {
    if (line.kind === 'record') retained.add(line.record, line.bytes);
    else if (line.kind === 'earlier') earlier = line.earlier;
    else if (line.kind === 'damaged') damaged += 1;
    else foreign.push(line.text);
    if (foreign.length > mostForeign) foreign.shift();
  }
  const { records, states, codes } = retained.finish();
  return {
    records,
    foreign,
    earlier: {
      states: sum(earlier.states, states),
      codes: sum(earlier.codes, codes),
      unreadable: earlier.unreadable + damaged,
    },
  };
}

function sum(a: Readonly<Record<string, number>>, b: Readonly<Record<string, number>>) {
  const all = { ...a };
  for (const [key, count] of Object.entries(b)) all[key] = (all[key] ?? 0) + count;
  return all;
}
