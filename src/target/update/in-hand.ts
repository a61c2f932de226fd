/**
 * Files that kill the agent. Threat: whatever a file makes Node.js, a library or the kernel’s out-of-memory killer do to the process, it is
 * still there when the process starts again, and every good bundle behind it waits for ever. So work on a file is recorded before it
 * begins, and a file on which it was cut off too often is set aside.
 */
import { createHash } from 'node:crypto';
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { openIfThere } from '../../bundle/file.ts';
import { NixmakerError, type ReasonCode } from '../../core/errors.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import type { Candidate } from '../../media/inbox.ts';
import {
  type CutOff,
  readCutOffs,
  removeMark,
  startOf,
  takeMarksOfTheDead,
  writeCutOffs,
  writeMark,
} from '../../state/in-hand.ts';
import type { Machine } from '../machine/machine.ts';
import { type Recorder, Transaction } from '../machine/transaction.ts';
import { withLock } from '../machine/with-lock.ts';
import { accessTo } from './medium-access.ts';

/** How often work on a file may be cut off. Once or twice, an operator or a lack of memory may have ended the agent. */
const mostTimes = 3;

/** Bytes of a file’s contents that identify it: in a bundle, its manifest. */
const beginning = 8 * 1024;

type Keeper = Pick<Machine, 'bootId' | 'clock' | 'emit' | 'settings'>;

export class InHand {
  readonly #machine: Keeper;
  readonly #started: string;
  #cutOffs: readonly CutOff[];

  private constructor(machine: Keeper, started: string, cutOffs: readonly CutOff[]) {
    this.#machine = machine;
    this.#started = started;
    this.#cutOffs = cutOffs;
  }

  /** Counts what an earlier agent was working on when it ended. */
  static async open(machine: Keeper): Promise<InHand> {
    const { stateDirectory, runtimeDirectory } = machine.settings;
    const known = await readCutOffs(stateDirectory);
    if (known === undefined)
      machine.emit({ event: 'cut-offs-unreadable', level: 'warn', folder: stateDirectory });
    let cutOffs = known ?? [];
    // From another boot: the machine went down, which was not the file’s fault.
    const marks = (await takeMarksOfTheDead(runtimeDirectory)).filter((m) => m.bootId === machine.bootId);
    for (const { fingerprint, source } of marks) {
      const times = 1 + (cutOffs.find((c) => c.fingerprint === fingerprint)?.times ?? 0);
      cutOffs = [...cutOffs.filter((c) => c.fingerprint !== fingerprint), { fingerprint, source, times }];
      machine.emit({ event: 'cut-off', level: 'warn', source, times, of: mostTimes });
    }
    if (marks.length > 0) await writeCutOffs(stateDirectory, cutOffs);
    return new InHand(machine, (await startOf(process.pid)) ?? '', cutOffs);
  }

  /** Why the file is set aside; undefined if it is not. @throws NixmakerError as reading it does */
  async whySetAside(candidate: Candidate): Promise<string | undefined> {
    if (!this.#cutOffs.some((c) => c.times >= mostTimes)) return undefined;
    const fingerprint = await identityOf(this.#machine, candidate);
    const found = this.#cutOffs.find((c) => c.fingerprint === fingerprint && c.times >= mostTimes);
    return found && `${found.times} times in a row`;
  }

  /** Looking at a file; even if it killed the agent before and not this time, that proves nothing. */
  async looking<T>(candidate: Candidate, work: () => Promise<T>): Promise<T> {
    await this.#mark(candidate);
    try {
      return await work();
    } finally {
      await this.#unmark();
    }
  }

  /** A file’s run. Once it has ended, in whatever way, earlier cut-offs no longer count; throwing is not an end. */
  async taking<T>(candidate: Candidate, work: () => Promise<T>): Promise<T> {
    const fingerprint = await this.#mark(candidate);
    try {
      const ended = await work();
      await this.#forget(fingerprint);
      return ended;
    } finally {
      await this.#unmark();
    }
  }

  async #mark(candidate: Candidate): Promise<string> {
    const { bootId, settings } = this.#machine;
    const fingerprint = await identityOf(this.#machine, candidate);
    const { pid } = process;
    const source = candidate.path;
    const started = this.#started;
    await writeMark(settings.runtimeDirectory, { schema: 1, bootId, pid, started, fingerprint, source });
    return fingerprint;
  }

  #unmark(): Promise<void> {
    return removeMark(this.#machine.settings.runtimeDirectory, process.pid);
  }

  async #forget(fingerprint: string): Promise<void> {
    const others = this.#cutOffs.filter((c) => c.fingerprint !== fingerprint);
    if (others.length === this.#cutOffs.length) return;
    this.#cutOffs = others;
    await writeCutOffs(this.#machine.settings.stateDirectory, others);
  }
}

const filesOf = ({ format, path }: Candidate): string[] =>
  format === 'pool' ? ['manifest.json', 'manifest.sig', 'contents'].map((name) => join(path, name)) : [path];

/**
 * The same file keeps the same fingerprint across restarts, and on a medium that was pulled out and plugged in again. The date is part of
 * it: to have it retried, an operator only has to touch the file.
 */
async function identityOf(machine: Keeper, candidate: Candidate): Promise<string> {
  const { withDeadline } = accessTo(machine, candidate);
  const hash = createHash('sha256');
  for (const path of filesOf(candidate))
    hash.update(await withDeadline(() => beginningOf(path).catch(noneOfOurs)));
  return hash.digest('hex');
}

async function beginningOf(path: string): Promise<Buffer> {
  const file = await openIfThere(path, 'ENOTDIR');
  if (file === undefined) return Buffer.alloc(0);
  try {
    const { size, mtimeMs } = await lstat(path);
    const buffer = Buffer.alloc(Math.min(beginning, size));
    const bytes = buffer.subarray(0, await file.readInto(buffer, 0));
    return createHash('sha256').update(`${size} ${mtimeMs}\n`).update(bytes).digest();
  } finally {
    await file.close();
  }
}

/** A link, a pipe, or gone in the meantime: the examination reports what is wrong. */
function noneOfOurs(error: unknown): Buffer {
  if (error instanceof NixmakerError || (error instanceof Error && 'syscall' in error))
    return Buffer.alloc(0);
  throw error;
}

/** A run that ends before it begins, so that there is an answer to what became of the file. */
export function setAside(
  machine: Recorder & Pick<Machine, 'hold'>,
  { path }: Candidate,
  why: { readonly code: ReasonCode; readonly detail: string },
): Promise<Receipt> {
  return withLock(machine, async () => {
    const transaction = await Transaction.begin(machine, path);
    return transaction.end('refused', why);
  });
}
