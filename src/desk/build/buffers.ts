/** Buffers for whole NARs, lent again and again: thousands of new ones would keep V8’s collector busy. */

/** Most NARs are smaller. Bytes. */
const usual = 1024 * 1024;

export class Buffers {
  readonly #largest: number;
  /** Smaller ones first. There are never more of either size than were lent at the same time. */
  readonly #spare: Buffer[] = [];

  /** @param largest bytes */
  constructor(largest: number) {
    this.#largest = largest;
  }

  /** @param size bytes, at most the largest @param use must not keep the buffer */
  async lend<T>(size: number, use: (buffer: Buffer) => Promise<T>): Promise<T> {
    const at = this.#spare.findIndex((buffer) => buffer.length >= size);
    const [spare] = at < 0 ? [] : this.#spare.splice(at, 1);
    const buffer = spare ?? Buffer.allocUnsafeSlow(size <= usual ? usual : this.#largest);
    try {
      return await use(buffer.subarray(0, size));
    } finally {
      if (buffer.length === usual) this.#spare.unshift(buffer);
      else this.#spare.push(buffer);
    }
  }

  /** Gives up those that nobody has. */
  clear(): void {
    this.#spare.length = 0;
  }
}
