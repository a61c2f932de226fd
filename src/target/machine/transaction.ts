/** One run of one bundle: its id, its way through the states, and everything that ends up in its receipt. */
import { NixmakerError, type ReasonCode } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import { hasBegunToChange, isEnd, mayFollow, type State } from '../../core/run/lifecycle.ts';
import { type Receipt, receiptSchemaVersion } from '../../core/run/receipt.ts';
import { appendJournal, type JournalRecord } from '../../state/journal.ts';
import { saveReceipt } from '../../state/receipts.ts';
import { type ByRun, byRun } from './by-run.ts';
import type { Machine } from './machine.ts';

export { outcomeOf } from '../../core/outcome.ts';

type Known = Partial<Omit<Receipt, 'schema' | 'transaction' | 'at' | 'source' | 'state'>>;

/**
 * What a try learns that ends with the run being staged. Why it was staged is not how it ends. Threat: the specialisation that ran weeks ago is
 * made to run, or a unit that restarted then is forgiven for restarting now.
 */
const ofOneTry: ReadonlySet<string> = new Set<keyof Known>([
  ...(['code', 'detail', 'hooks', 'changes', 'failedUnitsBefore', 'restartedUnitsBefore'] as const),
  ...(['previousToplevel', 'previousGeneration', 'previousCurrent', 'specialisation'] as const),
]);

/** The parts of a machine that a run is recorded with. */
export type Recorder = Pick<
  Machine,
  'settings' | 'role' | 'clock' | 'emit' | 'randomHex' | 'onTransition' | 'interruption'
>;

export class Transaction implements ByRun {
  readonly id: string;
  readonly emit: ByRun['emit'];
  readonly source: string;
  readonly #machine: Recorder;
  #state: State = 'discovered';
  #known: Known = {};
  readonly #reached = new Set<State>();
  /** The outcome it may have without leaving a record. */
  readonly #knownWait: ReasonCode | undefined;
  /** Steps neither recorded nor reported yet; undefined if each is recorded at once. */
  #held: (() => Promise<void>)[] | undefined;

  private constructor(
    machine: Recorder,
    { id, source, knownWait }: { id: string; source: string; knownWait?: ReasonCode },
  ) {
    this.#machine = machine;
    this.source = source;
    this.id = id;
    this.emit = byRun(machine, id).emit;
    this.#knownWait = knownWait;
    this.#held = knownWait === undefined ? undefined : [];
  }

  /**
   * Opens a run; the first line of its journal is flushed when this returns.
   * @param knownWait what the same file has waited for before. A run that only ends in the same wait leaves no record: a file that waits
   * for days would fill the disk whose room it may be waiting for. Its steps are recorded as soon as it gets any further
   */
  static async begin(
    machine: Recorder,
    source: string,
    { id = machine.randomHex(6), knownWait }: { id?: string; knownWait?: ReasonCode } = {},
  ): Promise<Transaction> {
    machine.interruption?.begin();
    const transaction = new Transaction(machine, { id, source, ...given({ knownWait }) });
    await transaction.#write('discovered');
    return transaction;
  }

  /** What follows relies on the steps so far being on record. */
  async record(): Promise<void> {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const write of held) await write();
  }

  /** Takes up a run where its journal ends. */
  static resume(machine: Recorder, record: JournalRecord, reached: readonly State[]): Transaction {
    const { schema: _schema, at: _at, transaction: id, state, source, ...rest } = record;
    const known =
      state === 'staged'
        ? Object.fromEntries(Object.entries(rest).filter(([key]) => !ofOneTry.has(key)))
        : rest;
    const transaction = new Transaction(machine, { id, source });
    transaction.#state = state;
    // Checksummed lines that we wrote ourselves: they held the fields of a Receipt.
    transaction.#known = known as Known;
    for (const each of reached) transaction.#reached.add(each);
    if (hasBegunToChange(state)) machine.interruption?.pass();
    transaction.emit('resuming', { state, source });
    return transaction;
  }

  /** Whether this run ever got as far as the intent that the state stands for. */
  reached(state: State): boolean {
    return this.#reached.has(state);
  }

  get known(): Known {
    return this.#known;
  }

  get state(): State {
    return this.#state;
  }

  /** Adds to what is known; it becomes part of every later journal line and of the receipt. */
  learn(known: Known): void {
    this.#known = { ...this.#known, ...known };
  }

  /** Something a person should read even though all went well. */
  notice(text: string): void {
    this.learn({ notices: [...(this.#known.notices ?? []), text] });
    this.emit('notice', { text }, 'warn');
  }

  /**
   * Writes the transition durably, then returns: what follows may rely on it being on record.
   * @throws NixmakerError `internal` for a step the life cycle does not have; `stopped` if a person wants it to end and nothing has been
   * changed yet
   */
  async advance(state: State): Promise<void> {
    if (!mayFollow(this.#state, state)) {
      throw new NixmakerError('internal', `no transition from ${this.#state} to ${state}`);
    }
    // Nothing is awaited before it is written, so no signal can come in between.
    if (hasBegunToChange(state)) this.#machine.interruption?.pass();
    else if (!isEnd(state)) this.#machine.interruption?.check();
    if (this.#held !== undefined && (hasBegunToChange(state) || state === 'imported')) await this.record();
    await this.#write(state);
    this.#state = state;
    this.#reached.add(state);
  }

  /** Ends the run and keeps its receipt. */
  async end(state: State, outcome: { code?: ReasonCode; detail?: string } = {}): Promise<Receipt> {
    // An ended run stays as it ended, whatever goes wrong while tidying up after it.
    if (!isEnd(this.#state)) {
      this.learn(outcome);
      // Nothing new: already reported, and not repeated.
      if (this.#held !== undefined && state === 'deferred' && outcome.code === this.#knownWait)
        return { ...this.receipt(), state };
      await this.record();
      await this.advance(state);
    }
    const receipt = this.receipt();
    // A waiting run is retried again and again, so its journal is enough; but the agent waits for root’s receipt.
    const { role, settings } = this.#machine;
    if (this.#state !== 'deferred' || role === 'root') await saveReceipt(settings.stateDirectory, receipt);
    return receipt;
  }

  /** What is known so far, as a receipt. */
  receipt(): Receipt {
    return {
      schema: receiptSchemaVersion,
      transaction: this.id,
      at: this.#machine.clock.now().toISOString(),
      source: this.source,
      state: this.#state,
      ...this.#known,
    };
  }

  async #write(state: State): Promise<void> {
    const { output: _, ...known } = this.#known;
    const at = this.#machine.clock.now().toISOString();
    const write = () => this.#writeNow(state, { at, known });
    if (this.#held === undefined) await write();
    else this.#held.push(write);
  }

  async #writeNow(
    state: State,
    { at, known }: { readonly at: string; readonly known: Omit<Known, 'output'> },
  ): Promise<void> {
    this.#machine.onTransition?.('before', state);
    await appendJournal(this.#machine.settings.stateDirectory, {
      schema: 1,
      at,
      transaction: this.id,
      state,
      source: this.source,
      ...known,
    });
    this.#machine.onTransition?.('after', state);
    const level = ['failed', 'rolling-back', 'rolled-back'].includes(state)
      ? 'error'
      : state === 'refused'
        ? 'warn'
        : 'info';
    this.emit(state, { source: this.source, ...known }, level);
  }
}
