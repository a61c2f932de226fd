/**
 * When a signal from the terminal ends a verb, and when it doesn’t. Until anything on the machine is changed a person may stop it; from
 * then on only its end or a rollback may. Threat: a lost connection that leaves an unwell system the boot menu’s default, with nobody
 * on it.
 */
import { NixmakerError } from '../errors.ts';

/** `at-once`: there is nothing to clean up. `soon`: the run ends itself first. `not`: it goes on. */
export type Heeded = 'at-once' | 'soon' | 'not';

export class Interruption {
  readonly #stop = new AbortController();
  #phase: 'nothing-begun' | 'nothing-changed' | 'changing' = 'nothing-begun';
  #asked: string | undefined;
  #isWatched = false;

  /** Aborted when the run is to end itself; never once it is changing the machine. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Something listens for signals: children are shielded from them, because they reach a terminal’s whole job. */
  get isWatched(): boolean {
    return this.#isWatched;
  }

  watch(): void {
    this.#isWatched = true;
  }

  /** @param by the signal’s name */
  ask(by: string): Heeded {
    const isRepeated = this.#asked !== undefined;
    this.#asked = by;
    if (this.#phase === 'changing') return 'not';
    this.#stop.abort();
    return isRepeated || this.#phase === 'nothing-begun' ? 'at-once' : 'soon';
  }

  /** What ended it, whatever else a child that was ended makes of it. Undefined if nobody asked or it goes on. */
  get fault(): NixmakerError | undefined {
    return this.#stop.signal.aborted ? this.#stopped() : undefined;
  }

  #stopped(): NixmakerError {
    return new NixmakerError('stopped', `by ${this.#asked}`);
  }

  /** @throws NixmakerError `stopped` if asked to stop */
  check(): void {
    if (this.#asked !== undefined) throw this.#stopped();
  }

  /** A run begins, and has changed nothing yet. @throws NixmakerError `stopped` */
  begin(): void {
    this.check();
    this.#phase = 'nothing-changed';
  }

  /** The last moment: what follows is carried through. @throws NixmakerError `stopped` */
  pass(): void {
    if (this.#phase === 'changing') return;
    this.check();
    this.#phase = 'changing';
  }
}
