/**
 * NARs read one ahead: while one is on its way to the daemon, the next is read, decompressed and checked, so that neither waits for the
 * other. Only one, and only once the first chunk of the one before is there: both are in memory.
 */
import type { Interruption } from '../../core/run/interruption.ts';

type Chunks = AsyncGenerator<Buffer, void, void>;

interface Begun {
  readonly line: number;
  readonly chunks: Chunks;
  readonly first: Promise<IteratorResult<Buffer, void>>;
}

export class OneAhead {
  readonly #lines: readonly number[];
  readonly #read: (line: number) => Chunks;
  readonly #interruption: Interruption | undefined;
  /** Where in the lines the one after the last that was begun is. */
  #next = 0;
  #begun: Begun | undefined;

  /**
   * @param lines in the order in which they are taken; some may be passed over
   * @param interruption looked at before each chunk: one NAR may be most of a bundle
   */
  constructor(
    lines: readonly number[],
    read: (line: number) => Chunks,
    interruption: Interruption | undefined,
  ) {
    this.#lines = lines;
    this.#read = read;
    this.#interruption = interruption;
  }

  /** One at a time. @throws NixmakerError `stopped`; what reading throws, when its turn has come */
  take(line: number): AsyncIterable<Buffer> {
    let begun: Begun | undefined;
    const next = async () => {
      this.#interruption?.check();
      const isFirst = begun === undefined;
      begun ??= await this.#taken(line);
      const step = await (isFirst ? begun.first : begun.chunks.next());
      if (isFirst && step.done !== true) this.#beginNext();
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
    const begun = this.#begun;
    this.#begun = undefined;
    await begun?.chunks.return();
  }

  async #taken(line: number): Promise<Begun> {
    if (this.#begun?.line !== line) {
      // What was begun is not wanted any more: it has become valid meanwhile.
      await this.close();
      while (this.#next < this.#lines.length && this.#lines[this.#next] !== line) this.#next += 1;
      this.#beginNext();
    }
    const begun = this.#begun as Begun;
    this.#begun = undefined;
    return begun;
  }

  #beginNext(): void {
    const line = this.#lines[this.#next];
    if (line === undefined) return;
    this.#next += 1;
    const chunks = this.#read(line);
    const first = chunks.next();
    // Whoever takes it gets the error.
    first.catch(() => undefined);
    this.#begun = { line, chunks, first };
  }
}
