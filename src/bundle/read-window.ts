/** Small reads at increasing positions, served from one larger read: most pieces and members are small, and one after another. */
import { NixmakerError } from '../core/errors.ts';
import type { BundleFile } from './file.ts';

/** Reading it takes a millisecond; what is at least a quarter as large is read directly. */
const mostBytes = 1024 * 1024;

export class ReadWindow {
  readonly #file: BundleFile;
  readonly #bytes: number;
  #buffer: Buffer | undefined;
  #start = 0;
  #length = 0;
  /** Reads that are not done, and the last of them: two at a time would fill the same buffer. */
  #waiting = 0;
  #last: Promise<unknown> = Promise.resolve();

  /** @param bytes read at a time */
  constructor(file: BundleFile, bytes = mostBytes) {
    this.#file = file;
    this.#bytes = bytes;
  }

  /** As `BundleFile.readInto`. */
  async readInto(buffer: Buffer, position: number): Promise<number> {
    if (this.#waiting === 0 && this.#copy(buffer, position) === buffer.length) return buffer.length;
    this.#waiting += 1;
    const reading = this.#last.then(() => this.#read(buffer, position));
    this.#last = reading.catch(() => undefined);
    return reading.finally(() => {
      this.#waiting -= 1;
    });
  }

  /** As `BundleFile.read`. */
  async read(position: number, length: number): Promise<Buffer> {
    if (length > this.#bytes) return this.#file.read(position, length);
    const buffer = Buffer.alloc(length);
    const got = length === 0 ? 0 : await this.readInto(buffer, position);
    if (got === length) return buffer;
    throw new NixmakerError('bundle-truncated', `the file ends at byte ${position + got}`);
  }

  async #read(buffer: Buffer, position: number): Promise<number> {
    const there = this.#copy(buffer, position);
    const rest = buffer.subarray(there);
    if (rest.length === 0) return there;
    if (rest.length * 4 >= this.#bytes) return there + (await this.#file.readInto(rest, position + there));
    this.#buffer ??= Buffer.allocUnsafeSlow(this.#bytes);
    this.#length = 0;
    const got = await this.#file.readInto(this.#buffer, position + there);
    [this.#start, this.#length] = [position + there, got];
    return there + this.#copy(rest, position + there);
  }

  /** @returns how many bytes were there */
  #copy(into: Buffer, position: number): number {
    const from = position - this.#start;
    if (from < 0 || from >= this.#length) return 0;
    return this.#buffer?.copy(into, 0, from, this.#length) ?? 0;
  }
}
