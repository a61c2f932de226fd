/**
 * NARs read one ahead: while one is on its way to the daemon, the next is read, decompressed and checked on other threads, so that neither
 * waits for the other. Both are in memory, so one that takes much is read alone.
 */
import type { Interruption } from '../../core/run/interruption.ts';

type Chunks = AsyncGenerator<Buffer, void, void>;

interface Begun {
  readonly line: number;
  readonly chunks: Chunks;
  readonly first: Promise<IteratorResult<Buffer, void>>;
}

export interface ReadAheadOptions {
  /** In the order in which they are taken; some may be passed over. */
  readonly lines: readonly number[];
  readonly read: (line: number) => Chunks;
  /** Bytes of memory that reading it takes until its end, besides what it gives. */
  readonly weigh: (line: number) => number;
  /** Looked at before each chunk: one NAR may be most of a bundle. */
  readonly interruption: Interruption | undefined;
}

/** Beyond this, nothing else is begun before its end. */
const mostBytes = 16 * 1024 * 1024;

export class ReadAhead {
  readonly #options: ReadAheadOptions;
  /** Where in the lines the one after the last that was begun is. */
  #next = 0;
  #begun: Begun | undefined;

  constructor(options: ReadAheadOptions) {
    this.#options = options;
  }

  /** One at a time. @throws NixmakerError `stopped`; what reading throws, when its turn has come */
  take(line: number): AsyncIterable<Buffer> {
    const { interruption, weigh } = this.#options;
    let taken: Begun | undefined;
    const end = async () => {
      await taken?.chunks.return();
      return { done: true, value: undefined } as const;
    };
    const next = async () => {
      // Whoever loops over it does not end what has thrown.
      if (interruption?.fault !== undefined) await end();
      interruption?.check();
      const isFirst = taken === undefined;
      taken ??= await this.#taken(line);
      const step = await (isFirst ? taken.first : taken.chunks.next());
      if (step.done === true || (isFirst && weigh(line) <= mostBytes)) this.#begun ??= this.#begin();
      return step;
    };
    return { [Symbol.asyncIterator]: () => ({ next, return: end }) };
  }

  /** Drops what was begun and not taken. */
  async close(): Promise<void> {
    const begun = this.#begun;
    this.#begun = undefined;
    await begun?.chunks.return();
  }

  async #taken(line: number): Promise<Begun> {
    for (;;) {
      const begun = this.#begun ?? this.#begin();
      if (begun === undefined) throw new RangeError(`line ${line} is not to be read, or not any more`);
      this.#begun = undefined;
      if (begun.line === line) return begun;
      // It has become valid meanwhile.
      await begun.chunks.return();
    }
  }

  #begin(): Begun | undefined {
    const line = this.#options.lines[this.#next];
    if (line === undefined) return undefined;
    this.#next += 1;
    const chunks = this.#options.read(line);
    const first = chunks.next();
    // Whoever takes it gets the error.
    first.catch(() => undefined);
    return { line, chunks, first };
  }
}
