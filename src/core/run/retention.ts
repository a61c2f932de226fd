/**
 * What stays in a journal that has grown too large. Pure, and in one pass with bounded memory, because the journal of a machine
 * that was flooded does not fit into it.
 *
 * Kept in full: unfinished runs, with every step, because they will be resumed. Kept as single lines: what was taken, what failed
 * and may come again, and what was last changed. The rest is history: its newest ends are kept, without repeats.
 */
import { type Earlier, floorOf, type JournalRecord, signedTimeOf, verdictOn } from './journal.ts';
import { isEnd } from './lifecycle.ts';

/** How much history stays. */
export interface Retention {
  /** Runs that have ended. */
  readonly runs: number;
  /** Of these, the newest with every step. */
  readonly stepsOf: number;
  readonly bytes: number;
  /** Runs that changed the machine: kept beyond all that, in short form. */
  readonly changes: number;
}

interface Line {
  readonly index: number;
  readonly bytes: number;
  readonly record: JournalRecord;
}

interface Run {
  /** Its first line, and its end; with every step while it is among the newest. */
  lines: readonly Line[];
  readonly end: Line;
}

/** Fields that decide something: all that is kept of a line beyond the history. */
const needed = [
  ...['schema', 'at', 'transaction', 'state', 'source', 'code', 'host', 'sequence', 'downgradeFrom'],
  ...['manifestDigest', 'toplevel', 'operation', 'generation', 'createdAt', 'bootId', 'previousToplevel'],
  ...['targetGeneration', 'rolledBackFrom', 'rolledBackTo', 'noWayBack'],
];

function inShort(record: JournalRecord): JournalRecord {
  const entries = needed.flatMap((key) => (record[key] === undefined ? [] : [[key, record[key]]]));
  return Object.fromEntries(entries) as JournalRecord;
}

const withoutZeros = (counts: Readonly<Record<string, number>>) =>
  Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0));

const bytesOf = ({ lines }: Run) => lines.reduce((sum, line) => sum + line.bytes, 0);

/** A repeat: the same file, waiting or refused for the same reason. */
function repeatKey({ state, code, source, manifestDigest }: JournalRecord): string | undefined {
  if (state !== 'refused' && state !== 'deferred') return undefined;
  return JSON.stringify([state, code, source, manifestDigest]);
}

const changedMachine = ({ state, generation, previousToplevel }: JournalRecord) =>
  (state === 'committed' && generation !== undefined) ||
  state === 'rolled-back' ||
  (state === 'failed' && previousToplevel !== undefined);

export class Retained {
  readonly #retention: Retention;
  #count = 0;
  readonly #open = new Map<string, Line[]>();
  /** By when they ended. A Set, so that one in the middle can be removed. */
  readonly #history = new Set<Run>();
  /** Those with every step. */
  readonly #newest: Run[] = [];
  #bytes = 0;
  readonly #repeats = new Map<string, Run>();
  /** The newest line about each manifest that has failed here. */
  readonly #verdicts = new Map<string, Line>();
  #changes: Line[] = [];
  #floor: { readonly line: Line; readonly sequence: number } | undefined;
  #time: Line | undefined;
  readonly #states: Record<string, number> = {};
  readonly #codes: Record<string, number> = {};

  constructor(retention: Retention) {
    this.#retention = retention;
  }

  /** @param bytes the size of its line */
  add(record: JournalRecord, bytes: number): void {
    const line = { index: this.#count, bytes, record };
    this.#count += 1;
    const lines = [...(this.#open.get(record.transaction) ?? []), line];
    if (!isEnd(record.state)) {
      this.#open.set(record.transaction, lines);
      return;
    }
    this.#open.delete(record.transaction);
    this.#noteEvidence(line);
    this.#keep({ lines, end: line });
  }

  /** In their original order, and the number of runs that are not among them. */
  finish(): {
    readonly records: JournalRecord[];
    readonly states: Earlier['states'];
    readonly codes: Earlier['codes'];
  } {
    const kept = new Map<number, JournalRecord>();
    for (const { lines } of this.#history) for (const line of lines) kept.set(line.index, line.record);
    for (const { index, record } of this.#evidence()) {
      if (kept.has(index)) continue;
      kept.set(index, inShort(record));
      // It is still in the journal, and is counted from there.
      this.#tally(record, -1);
    }
    for (const lines of this.#open.values()) for (const line of lines) kept.set(line.index, line.record);
    const records = [...kept].sort(([a], [b]) => a - b).map(([, record]) => record);
    return { records, states: withoutZeros(this.#states), codes: withoutZeros(this.#codes) };
  }

  #noteEvidence(line: Line): void {
    const { record } = line;
    const { manifestDigest } = record;
    const verdict = verdictOn(record);
    // What is good again is remembered too, or the earlier failure would count.
    if (manifestDigest !== undefined && verdict !== undefined) {
      if (verdict === 'failed' || this.#verdicts.has(manifestDigest))
        this.#verdicts.set(manifestDigest, line);
    }
    if (changedMachine(record)) {
      this.#changes.push(line);
      if (this.#changes.length > this.#retention.changes) this.#changes.shift();
    }
    const floor = floorOf(record);
    if (floor === undefined) return;
    // Of two for the same floor the later is a downgrade from the earlier.
    if (this.#floor === undefined || floor >= this.#floor.sequence) this.#floor = { line, sequence: floor };
    const newest = this.#time === undefined ? undefined : signedTimeOf(this.#time.record);
    if ((signedTimeOf(record) ?? 0) > (newest ?? 0)) this.#time = line;
    this.#forgetVerdicts(this.#floor.sequence);
  }

  /** A manifest below the floor is refused whatever became of it, unless it was signed to go below exactly this floor. */
  #forgetVerdicts(floor: number): void {
    for (const [digest, { record }] of this.#verdicts) {
      const { sequence, downgradeFrom } = record;
      if (sequence !== undefined && sequence < floor && downgradeFrom !== floor)
        this.#verdicts.delete(digest);
    }
  }

  #evidence(): Line[] {
    return [this.#floor?.line, this.#time, ...this.#changes, ...this.#verdicts.values()].filter(
      (line) => line !== undefined,
    );
  }

  #keep(run: Run): void {
    const key = repeatKey(run.end.record);
    const before = key === undefined ? undefined : this.#repeats.get(key);
    if (before !== undefined) this.#drop(before);
    if (key !== undefined) this.#repeats.set(key, run);
    this.#history.add(run);
    this.#bytes += bytesOf(run);
    const { runs, stepsOf, bytes } = this.#retention;
    this.#newest.push(run);
    if (this.#newest.length > stepsOf) this.#shorten(this.#newest.shift());
    while (this.#history.size > runs || (this.#bytes > bytes && this.#history.size > 1)) this.#dropOldest();
  }

  /** Without its steps. Its first line stays if another run came in between: it says which of them began first. */
  #shorten(run: Run | undefined): void {
    const [first] = run?.lines ?? [];
    if (run === undefined || first === undefined || !this.#history.has(run)) return;
    this.#bytes -= bytesOf(run);
    const apart = run.end.index - first.index >= run.lines.length;
    run.lines = apart ? [first, run.end] : [run.end];
    this.#bytes += bytesOf(run);
  }

  #dropOldest(): void {
    const [oldest] = this.#history;
    if (oldest !== undefined) this.#drop(oldest);
  }

  #drop(run: Run): void {
    const { record } = run.end;
    this.#history.delete(run);
    this.#bytes -= bytesOf(run);
    const key = repeatKey(record);
    if (key !== undefined && this.#repeats.get(key) === run) this.#repeats.delete(key);
    this.#tally(record, 1);
  }

  #tally({ state, code }: JournalRecord, by: 1 | -1): void {
    this.#states[state] = (this.#states[state] ?? 0) + by;
    if (code !== undefined) this.#codes[code] = (this.#codes[code] ?? 0) + by;
  }
}
