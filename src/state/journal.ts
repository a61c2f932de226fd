/**
 * The journal of transitions: one checksummed line each, flushed before the caller goes on. A torn last line (power cut
 * while writing) is left behind and passed over when reading.
 */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import * as z from 'zod';
import { isMissing } from '../core/errno.ts';
import { isEnd, states } from '../core/run/lifecycle.ts';
import { makeFolder, syncFolder } from '../files/folder.ts';
import { readChecksummed, withChecksum } from './checksummed.ts';

const record = z.looseObject({
  schema: z.literal(1),
  at: z.string(),
  transaction: z.string(),
  state: z.enum(states),
  source: z.string(),
  code: z.string().optional(),
  sequence: z.number().optional(),
  manifestDigest: z.string().optional(),
  toplevel: z.string().optional(),
  bootId: z.string().optional(),
});

export type JournalRecord = z.infer<typeof record>;

export interface JournalContents {
  readonly records: readonly JournalRecord[];
  /** Lines that are torn, damaged, or written by a newer nixmaker. */
  readonly unreadable: number;
}

const journalFile = (stateDirectory: string) => join(stateDirectory, 'journal');

export async function appendJournal(stateDirectory: string, entry: JournalRecord): Promise<void> {
  const path = journalFile(stateDirectory);
  await makeFolder(dirname(path));
  const file = await open(path, 'a+', 0o644);
  try {
    const { size } = await file.stat();
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

export async function readJournal(stateDirectory: string): Promise<JournalContents> {
  const records: JournalRecord[] = [];
  let unreadable = 0;
  try {
    const lines = createInterface({
      input: createReadStream(journalFile(stateDirectory)),
      crlfDelay: Number.POSITIVE_INFINITY,
    });
    for await (const line of lines) {
      const parsed = record.safeParse(readChecksummed(line));
      if (parsed.success) records.push(parsed.data);
      else unreadable += 1;
    }
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  return { records, unreadable };
}

/** Where each run stands, in the order in which they began: its end, or, without one, its last line. */
export function lastOfEach(records: readonly JournalRecord[]): JournalRecord[] {
  const last = new Map<string, JournalRecord>();
  for (const record of records) {
    const known = last.get(record.transaction);
    if (known === undefined || !isEnd(known.state)) last.set(record.transaction, record);
  }
  return [...last.values()];
}

/** Reasons for a rollback that lie in the machine, and pass. */
const passing: ReadonlySet<string> = new Set(['interrupted', 'no-space', 'nix-unavailable']);

/** Operations whose failure does not say that a system can’t be installed here. */
const tryingOut: ReadonlySet<unknown> = new Set(['test', 'dry-activate']);

/** Manifests whose activation failed here: not tried again until told to (DESIGN §6). What was only tried out is not among them. */
export function failedDigests(records: readonly JournalRecord[]): Set<string> {
  const failed = new Set<string>();
  for (const { state, code, manifestDigest, operation } of records) {
    if (manifestDigest === undefined || tryingOut.has(operation)) continue;
    if (state === 'committed') failed.delete(manifestDigest);
    // A run that was cut off, or lacked room, says nothing about its system.
    else if (state === 'rolled-back' && !passing.has(code ?? '')) failed.add(manifestDigest);
    else if (state === 'failed' && (code === 'activation-failed' || code === 'rollback-failed'))
      failed.add(manifestDigest);
  }
  return failed;
}
