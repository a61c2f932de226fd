/**
 * The index of format 2: one line per store path of a release, signed through its digest in the manifest (docs/format.md). A line is
 * `[baseName, narHash, narSize, files, blocks, references, ca]`; references are line numbers.
 *
 * One closure has one index: lines ascend by depth (0 without references to others, else one more than the deepest of them) and then
 * by name, so a path comes after what it refers to, and the last line is the root.
 */
import { given } from '../given.ts';
import { fromBaseName, type StorePath, storeDir } from '../store-path.ts';
import { type Columns, readColumns } from './index-reader.ts';
import type { ReleaseTotals } from './manifest.ts';
import type { PathInfo } from './path-info.ts';

export interface IndexLine {
  readonly path: StorePath;
  /** sha256 in Nix’s base 32, without prefix. */
  readonly narHash: string;
  readonly narSize: number;
  /** Nodes of the NAR. */
  readonly files: number;
  /** Blocks of 4096 bytes. */
  readonly blocks: number;
  /** Numbers of lines, ascending. */
  readonly references: readonly number[];
  /** As Nix writes it; empty if the path is named after its inputs. */
  readonly ca: string;
}

const quotationMark = 0x22;
/** After `["`. */
const nameAt = 2;

/** An index as it was signed: bytes, and numbers about them. No object per line is kept. */
export class ReleaseIndex {
  readonly bytes: Uint8Array;
  readonly totals: ReleaseTotals;
  /** Where each line begins, and the end. */
  readonly #starts: Uint32Array;
  readonly #narSizes: Float64Array;
  readonly #files: Float64Array;
  readonly #blocks: Float64Array;
  /** The references of all lines, one after another, and where each line’s begin. */
  readonly #references: Uint32Array;
  readonly #referencesAt: Uint32Array;

  private constructor(
    bytes: Uint8Array,
    { starts, numbers, references, referencesAt, totals }: Columns & { readonly totals: ReleaseTotals },
  ) {
    this.bytes = bytes;
    this.#starts = starts;
    this.#narSizes = numbers.narSize;
    this.#files = numbers.files;
    this.#blocks = numbers.blocks;
    this.#references = references;
    this.#referencesAt = referencesAt;
    this.totals = totals;
  }

  /**
   * @param bytes whose size and digest are the manifest’s
   * @param root what the last line must be
   * @throws NixmakerError `manifest-malformed`
   */
  static parse(bytes: Uint8Array, root: StorePath): ReleaseIndex {
    return new ReleaseIndex(bytes, readColumns(bytes, root));
  }

  /** Lines. */
  get length(): number {
    return this.#starts.length - 1;
  }

  /** One line, parsed again. */
  line(number: number): IndexLine {
    const text = this.#text(this.#startOf(number), this.#startOf(number + 1) - 1);
    const [name, narHash, narSize, files, blocks, references, ca] = JSON.parse(text);
    return { path: fromBaseName(name) as StorePath, narHash, narSize, files, blocks, references, ca };
  }

  /** Without reading the rest of the line: needed once per reference. */
  path(number: number): StorePath {
    const start = this.#startOf(number) + nameAt;
    const name = this.#text(start, this.bytes.indexOf(quotationMark, start));
    return `${storeDir}/${name}` as StorePath;
  }

  /** All of them, in line order: what a path refers to comes before the path itself. */
  paths(): StorePath[] {
    return Array.from({ length: this.length }, (_, line) => this.path(line));
  }

  /** The form Nix signs. */
  info(number: number): PathInfo {
    const { path, narHash, narSize, references, ca } = this.line(number);
    return {
      path,
      narHash: `sha256:${narHash}`,
      narSize,
      references: references.map((r) => this.path(r)).sort(),
      ...given({ ca: ca === '' ? undefined : ca }),
    };
  }

  /** Whether Nix accepts it without a signature, because it is named after its contents. */
  isContentAddressed(number: number): boolean {
    // `…,""]` and the newline.
    const end = this.#startOf(number + 1);
    return this.bytes[end - 4] !== quotationMark;
  }

  narSize(number: number): number {
    return this.#at(this.#narSizes, number);
  }

  files(number: number): number {
    return this.#at(this.#files, number);
  }

  blocks(number: number): number {
    return this.#at(this.#blocks, number);
  }

  /** Line numbers; a view, don’t modify. */
  references(number: number): Uint32Array {
    return this.#references.subarray(this.#referencesAt[number], this.#referencesAt[number + 1]);
  }

  /** @param number a line’s, or one past the last */
  #startOf(number: number): number {
    const start = this.#starts[number];
    if (start === undefined) throw new RangeError(`the index has no line ${number}`);
    return start;
  }

  /** A line is all ASCII. */
  #text(start: number, end: number): string {
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + start, end - start).toString('latin1');
  }

  #at(column: Float64Array, number: number): number {
    const value = column[number];
    if (value === undefined) throw new RangeError(`the index has no line ${number}`);
    return value;
  }
}
