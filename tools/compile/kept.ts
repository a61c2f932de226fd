/** V8’s compiled code of a program’s chunks, in one file: the program’s stamp, as many sizes (32 bits, little-endian; 0 for none), then their bytes. */
import { readSync } from 'node:fs';

const sizeBytes = 4;

export class KeptCode {
  readonly #file: number;
  readonly #stamp: string;
  /** Where each chunk’s code begins; last, where all of it ends. */
  readonly #places: readonly number[];

  /**
   * @param file stays open as long as the process runs: a file of the same name may be another program’s by then, and V8 could not tell
   * @param stamp of the program: V8 itself compares no more than the length of a text, and would run another build’s
   * @throws Error of the operating system, or because it is of another program
   */
  constructor(file: number, chunks: number, stamp: string) {
    this.#file = file;
    this.#stamp = stamp;
    if (!this.#isOurs()) throw new Error('compiled code of another program');
    const sizes = Buffer.alloc(chunks * sizeBytes);
    readSync(file, sizes, 0, sizes.length, stamp.length);
    const places = [stamp.length + sizes.length];
    for (let chunk = 0; chunk < chunks; chunk++)
      places.push((places[chunk] as number) + sizes.readUInt32LE(chunk * sizeBytes));
    this.#places = places;
  }

  of(chunk: number): Buffer | undefined {
    const [at, end] = this.#places.slice(chunk, chunk + 2) as [number, number];
    const size = end - at;
    if (size === 0) return undefined;
    const code = Buffer.allocUnsafeSlow(size);
    try {
      // Asked once more: another build may have been copied over the open file.
      return readSync(this.#file, code, 0, size, at) === size && this.#isOurs() ? code : undefined;
    } catch {
      return undefined;
    }
  }

  #isOurs(): boolean {
    const stamp = Buffer.alloc(this.#stamp.length);
    readSync(this.#file, stamp, 0, stamp.length, 0);
    return stamp.toString('latin1') === this.#stamp;
  }
}

/** @param codes of each chunk, in order @param stamp ASCII */
export function joinKept(codes: readonly (Buffer | undefined)[], stamp: string): Buffer {
  const sizes = Buffer.alloc(codes.length * sizeBytes);
  for (const [chunk, code] of codes.entries()) sizes.writeUInt32LE(code?.length ?? 0, chunk * sizeBytes);
  return Buffer.concat([Buffer.from(stamp), sizes, ...codes.filter((code) => code !== undefined)]);
}
