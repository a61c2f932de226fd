/** One run of one bundle: its id, its way through the states, and everything that ends up in its receipt. */
import { NixmakerError, type ReasonCode } from '../../core/errors.ts';
import { hasBegunToChange, isEnd, mayFollow, type State } from '../../core/run/lifecycle.ts';
import { type Receipt, receiptSchemaVersion } from '../../core/run/receipt.ts';
import { appendJournal, type JournalRecord } from '../../state/journal.ts';
import { saveReceipt } from '../../state/receipts.ts';
import type { Machine } from './machine.ts';

export { outcomeOf } from '../../core/outcome.ts';

type Known = Partial<Omit<Receipt, 'schema' | 'transaction' | 'at' | 'source' | 'state'>>;

/** What of a machine a run is recorded with. */
export type Recorder = Pick<
  Machine,
  'settings' | 'role' | 'clock' | 'emit' | 'randomHex' | 'onTransition' | 'interruption'
>;

export class Transaction {
  readonly id: string;
  readonly source: string;
  readonly #machine: Recorder;
  #state: State = 'discovered';
  #known: Known = {};
  readonly #reached = new Set<State>();

  private constructor(machine: Recorder, { id, source }: { id: string; source: string }) {
    this.#machine = machine;
    this.source = source;
    this.id = id;
  }

  /** Opens a run; the first line of its journal is flushed when this returns. */
  static async begin(machine: Recorder, source: string, id = machine.randomHex(6)): Promise<Transaction> {
    machine.interruption?.begin();
    const transaction = new Transaction(machine, { id, source });
    await transaction.#write('discovered');
    return transaction;
  }

  /** Takes up a run where its journal ends. */
  static resume(machine: Recorder, record: JournalRecord, reached: readonly State[]): Transaction {
    const { schema: _schema, at: _at, transaction: id, state, source, ...known } = record;
    const transaction = new Transaction(machine, { id, source });
    transaction.#state = state;
    // Checksummed lines of our own writing: what is in them was a Receipt's fields.
    transaction.#known = known as Known;
    for (const each of reached) transaction.#reached.add(each);
    if (hasBegunToChange(state)) machine.interruption?.pass();
    transaction.emit('resuming', { state, source });
    return transaction;
  }

  /** Whether this run was ever about to do what the state stands for. */
  reached(state: State): boolean {
    return this.#reached.has(state);
  }

  get known(): Known {
    return this.#known;
  }

  get state(): State {
    return this.#state;
  }

  /** Adds to what is known; it is part of every later journal line and of the receipt. */
  learn(known: Known): void {
    this.#known = { ...this.#known, ...known };
  }

  /** Something a person should read although all went well. */
  notice(text: string): void {
    this.learn({ notices: [...(this.#known.notices ?? []), text] });
    this.emit('notice', { text }, 'warn');
  }

  emit(
    event: string,
    fields: Record<string, unknown> = {},
    level: 'debug' | 'info' | 'warn' | 'error' = 'info',
  ): void {
    this.#machine.emit({ ...fields, event, level, transaction: this.id });
  }

  /**
   * Writes the transition durably, then returns: what follows may rely on it having been recorded.
   * @throws NixmakerError `internal` for a step the life cycle does not have; `stopped` where a person wants it to end and nothing was
   * changed yet
   */
  async advance(state: State): Promise<void> {
    if (!mayFollow(this.#state, state)) {
      throw new NixmakerError('internal', `no way leads from ${this.#state} to ${state}`);
    }
    // With nothing awaited before it is written: no signal comes in between.
    if (hasBegunToChange(state)) this.#machine.interruption?.pass();
    else if (!isEnd(state)) this.#machine.interruption?.check();
    await this.#write(state);
    this.#state = state;
    this.#reached.add(state);
  }

  /** Ends the run and keeps its receipt. */
  async end(state: State, outcome: { code?: ReasonCode; detail?: string } = {}): Promise<Receipt> {
    // An ended run stays as it ended, whatever goes wrong while tidying up after it.
    if (!isEnd(this.#state)) {
      this.learn(outcome);
      await this.advance(state);
    }
    const receipt = this.receipt();
    // A run that waits is tried again and again, and its journal is enough; but root's is waited for by the agent.
    const { role, settings } = this.#machine;
    if (this.#state !== 'deferred' || role === 'root') await saveReceipt(settings.stateDirectory, receipt);
    return receipt;
  }

  /** What is known by now, as a receipt. */
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
    this.#machine.onTransition?.('before', state);
    await appendJournal(this.#machine.settings.stateDirectory, {
      schema: 1,
      at: this.#machine.clock.now().toISOString(),
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
