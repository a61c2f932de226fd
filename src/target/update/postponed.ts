/** Files to be looked at again after a while, where no change will announce that they are ready (Nix down, no space, a copy). */
import type { Clock } from '../../core/ports.ts';

interface Entry<Note> {
  /** On the monotonic clock. Milliseconds. */
  readonly until: number;
  readonly note: Note;
}

/** @template Note what is to be known of a file when it is looked at again */
export class Postponed<Note> {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #entries = new Map<string, Entry<Note>>();

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock;
  }

  /** @param pause milliseconds */
  postpone(path: string, pause: number, note: Note): void {
    this.#entries.set(path, { until: this.#clock.monotonic() + pause, note });
  }

  noteOf(path: string): Note | undefined {
    return this.#entries.get(path)?.note;
  }

  /** Milliseconds until the file is due; 0 where it is, or was never postponed. */
  left(path: string): number {
    const entry = this.#entries.get(path);
    return entry === undefined ? 0 : Math.max(0, entry.until - this.#clock.monotonic());
  }

  delete(path: string): void {
    this.#entries.delete(path);
  }

  /** A file that is gone is due no more. */
  keepOnly(present: ReadonlySet<string>): void {
    for (const path of this.#entries.keys()) if (!present.has(path)) this.#entries.delete(path);
  }

  has(fits: (note: Note) => boolean): boolean {
    return [...this.#entries.values()].some(({ note }) => fits(note));
  }

  /** Milliseconds until the first is due; undefined where none waits. */
  soonest(): number | undefined {
    const left = [...this.#entries.keys()].map((path) => this.left(path));
    return left.length === 0 ? undefined : Math.min(...left);
  }
}
