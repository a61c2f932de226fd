/**
 * V8’s compiled code of a program’s chunks, in one file of blocks (blocks.ts): the first has as many sizes (32 bits, little-endian; 0 for
 * none), the others the chunks’ code.
 */
import { readBlock } from './blocks.ts';

const sizeBytes = 4;

export class KeptCode {
  readonly #file: number;
  readonly #stamp: string;
  /** Where each chunk’s code begins and how long it is, in bytes. */
  readonly #places: readonly (readonly [at: number, size: number])[];

  /**
   * @param file stays open as long as the process runs: a file of the same name may be another program’s by then, and V8 could not tell
   * @param stamp of the program: V8 itself compares no more than the length of a text, and would run another build’s
   * @throws Error of the operating system, or because it is of another program
   */
  constructor(file: number, chunks: number, stamp: string) {
    this.#file = file;
    this.#stamp = stamp;
    const sizes = readBlock(file, stamp, stamp.length, chunks * sizeBytes);
    if (sizes === undefined) throw new Error('compiled code of another program');
    let at = sizes.length + 2 * stamp.length;
    this.#places = Array.from({ length: chunks }, (_, chunk) => {
      const size = sizes.readUInt32LE(chunk * sizeBytes);
      const place = [at, size] as const;
      at += size + stamp.length;
      return place;
    });
  }

  /** @returns what the next call, or another block’s, overwrites: V8 has read it when it has compiled */
  of(chunk: number): Buffer | undefined {
    const [at, size] = this.#places[chunk] as readonly [number, number];
    if (size === 0) return undefined;
    try {
      return readBlock(this.#file, this.#stamp, at, size);
    } catch {
      return undefined;
    }
  }
}

/** @param codes of each chunk, in order @param stamp ASCII */
export function joinKept(codes: readonly (Buffer | undefined)[], stamp: string): Buffer {
  const sizes = Buffer.alloc(codes.length * sizeBytes);
  for (const [chunk, code] of codes.entries()) sizes.writeUInt32LE(code?.length ?? 0, chunk * sizeBytes);
  const blocks = [sizes, ...codes.map((code) => code ?? Buffer.alloc(0))];
  return Buffer.concat([Buffer.from(stamp), ...blocks.flatMap((block) => [block, Buffer.from(stamp)])]);
}
