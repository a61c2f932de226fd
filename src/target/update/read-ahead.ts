/**
 * NARs read ahead: while some are on their way to the daemon, the next are read, decompressed and checked on other threads, so that neither
 * waits for the other. What they take together has a bound; one that takes more is read alone.
 */
import type { Interruption } from '../../core/run/interruption.ts';

type Chunks = AsyncGenerator<Buffer, void, void>;

interface Begun {
  readonly line: number;
  readonly weight: number;
  readonly chunks: Chunks;
  readonly first: Promise<IteratorResult<Buffer, void>>;
}

export interface ReadAheadOptions {
  /** In the order in which they are taken; some may be passed over. */
  readonly lines: readonly number[];
  readonly read: (line: number) => Chunks;
  /** Bytes of memory while it is read. */
  readonly weigh: (line: number) => number;
  /** Looked at before each chunk: one NAR may be most of a bundle. */
  readonly interruption: Interruption | undefined;
}

/** What all that have been begun and not taken may weigh. */
const mostBytes = 16 * 1024 * 1024;
const mostBegun = 1;

export class ReadAhead {
  readonly #options: ReadAheadOptions;
  /** Where in the lines the one after the last that was begun is. */
  #next = 0;
  readonly #begun: Begun[] = [];

  constructor(options: ReadAheadOptions) {
    this.#options = options;
  }

  /** One at a time. @throws NixmakerError `stopped`; what reading throws, when its turn has come */
  take(line: number): AsyncIterable<Buffer> {
    const { interruption } = this.#options;
    let begun: Begun | undefined;
    const next = async () => {
      interruption?.check();
      const isFirst = begun === undefined;
      begun ??= await this.#taken(line);
      const step = await (isFirst ? begun.first : begun.chunks.next());
      // A heavy one has all there is until its end.
      if (step.done === true || (isFirst && begun.weight <= mostBytes)) this.#beginMore();
      return step;
    };
    const ended = async () => {
      await begun?.chunks.return();
      return { done: true, value: undefined } as const;
    };
    return { [Symbol.asyncIterator]: () => ({ next, return: ended }) };
  }

  /** Drops what was begun and not taken. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#begun.splice(0).map(({ chunks }) => chunks.return()));
  }

  async #taken(line: number): Promise<Begun> {
    for (;;) {
      const begun = this.#begun.shift() ?? this.#begin();
      if (begun === undefined) throw new RangeError(`line ${line} is not to be read, or not any more`);
      if (begun.line === line) return begun;
      // It has become valid meanwhile.
      await begun.chunks.return();
    }
  }

  #beginMore(): void {
    let weight = this.#begun.reduce((sum, begun) => sum + begun.weight, 0);
    while (this.#begun.length < mostBegun) {
      const line = this.#options.lines[this.#next];
      if (line === undefined) return;
      weight += this.#options.weigh(line);
      if (weight > mostBytes && this.#begun.length > 0) return;
      this.#begun.push(this.#begin() as Begun);
    }
  }

  #begin(): Begun | undefined {
    const { lines, read, weigh } = this.#options;
    const line = lines[this.#next];
    if (line === undefined) return undefined;
    this.#next += 1;
    const chunks = read(line);
    const first = chunks.next();
    // Whoever takes it gets the error.
    first.catch(() => undefined);
    return { line, weight: weigh(line), chunks, first };
  }
}
