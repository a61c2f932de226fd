/** V8’s compiled code of a program’s chunks, in one file: as many sizes (32 bits, little-endian; 0 for none), then their bytes. */
import { readSync } from 'node:fs';

const sizeBytes = 4;

export class KeptCode {
  readonly #file: number;
  readonly #sizes: Buffer;

  /**
   * @param file stays open as long as the process runs: a file of the same name may be another program’s by then, and V8 could not tell
   * @throws Error of the operating system
   */
  constructor(file: number, chunks: number) {
    this.#file = file;
    this.#sizes = Buffer.alloc(chunks * sizeBytes);
    readSync(file, this.#sizes, 0, this.#sizes.length, 0);
  }

  of(chunk: number): Buffer | undefined {
    const size = this.#sizes.readUInt32LE(chunk * sizeBytes);
    if (size === 0) return undefined;
    let at = this.#sizes.length;
    for (let before = 0; before < chunk; before++) at += this.#sizes.readUInt32LE(before * sizeBytes);
    const code = Buffer.allocUnsafeSlow(size);
    try {
      return readSync(this.#file, code, 0, size, at) === size ? code : undefined;
    } catch {
      return undefined;
    }
  }
}

/** @param codes of each chunk, in order */
export function joinKept(codes: readonly (Buffer | undefined)[]): Buffer {
  const sizes = Buffer.alloc(codes.length * sizeBytes);
  for (const [chunk, code] of codes.entries()) sizes.writeUInt32LE(code?.length ?? 0, chunk * sizeBytes);
  return Buffer.concat([sizes, ...codes.filter((code) => code !== undefined)]);
}
