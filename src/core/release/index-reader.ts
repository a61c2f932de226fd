/** Reading an index: it is checked line by line, and only numbers about it are kept. */
import { limits } from '../limits.ts';
import { fromBaseName, isBaseName, nix32, type StorePath } from '../store-path.ts';
import { malformed, readLines } from './lines.ts';
import type { ReleaseTotals } from './manifest.ts';

const source = { code: 'manifest-malformed', name: 'index' } as const;
/** The name under which a binary cache is asked for a path. */
const hashDigits = 32;
const narHashForm = new RegExp(`^[${nix32}]{52}$`);
/** Nix src/libstore/content-address.cc: the method, then the hash in base 32. Lengths of md5, sha1, sha256 and blake3, sha512. */
const caForm = new RegExp(
  `^(?:text:sha256:[${nix32}]{52}|fixed:(?:r:|git:)?(?:md5:[${nix32}]{26}|sha1:[${nix32}]{32}|(?:sha256|blake3):[${nix32}]{52}|sha512:[${nix32}]{103}))$`,
);

export interface Columns {
  readonly starts: Uint32Array;
  readonly numbers: Readonly<Record<'narSize' | 'files' | 'blocks', Float64Array>>;
  readonly references: Uint32Array;
  readonly referencesAt: Uint32Array;
}

/** @throws NixmakerError `manifest-malformed` */
export function readColumns(
  bytes: Uint8Array,
  root: StorePath,
): Columns & { readonly totals: ReleaseTotals } {
  if (bytes.length > limits.indexBytes)
    malformed(source, `it has ${bytes.length} bytes; the limit is ${limits.indexBytes}`);
  const reader = new Reader(bytes);
  readLines({ ...source, bytes, most: limits.lines }, (value, line, start) => reader.add(value, line, start));
  const columns = reader.end(root);
  const { files, blocks, narSize } = columns.numbers;
  const totals = {
    paths: columns.starts.length - 1,
    files: sum(files),
    blocks: sum(blocks),
    narBytes: sum(narSize),
    largestNar: narSize.reduce((a, b) => Math.max(a, b), 0),
  };
  return { ...columns, totals };
}

function sum(column: Float64Array): number {
  let total = 0;
  for (const value of column) total += value;
  if (!Number.isSafeInteger(total)) malformed(source, 'its totals exceed 2^53');
  return total;
}

/** Checks line by line, and keeps the numbers. */
class Reader {
  readonly #bytes: Uint8Array;
  readonly #starts: Uint32Array;
  readonly #narSizes: Float64Array;
  readonly #files: Float64Array;
  readonly #blocks: Float64Array;
  #references = new Uint32Array(1024);
  readonly #referencesAt: Uint32Array;
  #count = 0;
  #lines = 0;
  readonly #depths: Uint32Array;
  /** Lines that another line refers to. */
  readonly #referred: Uint8Array;
  /** All paths so far. Threat: a path with two hashes, at two depths, one of which is compared and the other imported. */
  readonly #hashes = new Set<string>();
  #lastName = '';
  #lastDepth = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    const lines = countLines(bytes);
    this.#starts = new Uint32Array(lines + 1);
    this.#referencesAt = new Uint32Array(lines + 1);
    this.#narSizes = new Float64Array(lines);
    this.#files = new Float64Array(lines);
    this.#blocks = new Float64Array(lines);
    this.#depths = new Uint32Array(lines);
    this.#referred = new Uint8Array(lines);
  }

  add(value: unknown, line: number, start: number): void {
    if (!Array.isArray(value) || value.length !== 7) fault(line, 'it has the wrong fields');
    const [name, narHash, narSize, files, blocks, references, ca] = value as readonly unknown[];
    if (typeof name !== 'string' || !isBaseName(name)) fault(line, 'it does not name a store path');
    if (typeof narHash !== 'string' || !narHashForm.test(narHash))
      fault(line, 'its hash is not a sha256 in base 32');
    if (!isSize(narSize) || !isSize(files) || !isSize(blocks) || files < 1)
      fault(line, 'its sizes are invalid');
    if (typeof ca !== 'string' || (ca !== '' && !caForm.test(ca)))
      fault(line, 'its content address is invalid');
    if (!Array.isArray(references)) fault(line, 'it has no list of references');
    const depth = this.#addReferences(references as readonly unknown[], line);
    if ((ca as string).startsWith('text:') && (references as readonly unknown[]).at(-1) === line)
      fault(line, 'it refers to itself, which a text path cannot');
    const isAfter =
      line === 0 ||
      depth > this.#lastDepth ||
      (depth === this.#lastDepth && (name as string) > this.#lastName);
    if (!isAfter) fault(line, 'it is out of order or a duplicate');
    this.#hashes.add((name as string).slice(0, hashDigits));
    if (this.#hashes.size === line) fault(line, 'another line has the same path or hash part');
    this.#starts[line] = start;
    this.#narSizes[line] = narSize as number;
    this.#files[line] = files as number;
    this.#blocks[line] = blocks as number;
    this.#depths[line] = depth;
    this.#lastName = name as string;
    this.#lastDepth = depth;
    this.#lines = line + 1;
  }

  /** @returns the line’s depth */
  #addReferences(references: readonly unknown[], line: number): number {
    if (this.#count + references.length > limits.references)
      fault(line, `it has more than ${limits.references} references`);
    this.#makeRoom(references.length);
    this.#referencesAt[line] = this.#count;
    // In local variables: a field costs an interpreter several times as much, and there are millions.
    const kept = this.#references;
    const depths = this.#depths;
    const referred = this.#referred;
    let count = this.#count;
    let previous = -1;
    let depth = 0;
    for (const reference of references as readonly number[]) {
      // Checked first: an object may have its own `valueOf`, and then can’t be compared.
      if (!Number.isInteger(reference) || reference <= previous || reference > line)
        fault(line, 'its references are not ascending numbers of earlier lines');
      previous = reference;
      kept[count++] = reference;
      if (reference === line) continue;
      referred[reference] = 1;
      const below = depths[reference] as number;
      if (below >= depth) depth = below + 1;
    }
    this.#count = count;
    return depth;
  }

  #makeRoom(more: number): void {
    if (this.#count + more <= this.#references.length) return;
    const larger = new Uint32Array(Math.min(limits.references, 2 * (this.#count + more)));
    larger.set(this.#references.subarray(0, this.#count));
    this.#references = larger;
  }

  end(root: StorePath): Columns {
    const lines = this.#lines;
    if (lines === 0) malformed(source, 'it is empty');
    if (fromBaseName(this.#lastName) !== root) malformed(source, `its last line is not ${root}`);
    const stray = this.#referred.subarray(0, lines - 1).indexOf(0);
    if (stray >= 0) malformed(source, `line ${stray + 1}: nothing refers to it`);
    this.#starts[lines] = this.#bytes.length;
    this.#referencesAt[lines] = this.#count;
    return {
      starts: this.#starts,
      numbers: { narSize: this.#narSizes, files: this.#files, blocks: this.#blocks },
      references: this.#references.slice(0, this.#count),
      referencesAt: this.#referencesAt,
    };
  }
}

/** No more than may be read: anything beyond is refused when reached. */
function countLines(bytes: Uint8Array): number {
  let lines = 0;
  for (let at = bytes.indexOf(0x0a); at >= 0 && lines < limits.lines; at = bytes.indexOf(0x0a, at + 1))
    lines += 1;
  return lines;
}

const fault = (line: number, detail: string): never => malformed(source, `line ${line + 1}: ${detail}`);

const isSize = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
