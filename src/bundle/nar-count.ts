/**
 * Counts what a NAR is made of as it streams past (Nix doc/manual/source/protocols/nix-archive.md): an index says how many
 * inodes and blocks each path takes, and whoever signs an index has counted. File contents are skipped, not copied.
 */
import { NixmakerError } from '../core/errors.ts';

export interface NarCount {
  /** Nodes: files, folders and links, including the root. */
  readonly files: number;
  /** Blocks of 4096 bytes: regular files rounded up, and one per folder. */
  readonly blocks: number;
  /** Regular files in folders that are named `*.nix`. */
  readonly expressions: number;
}

/** One node of a NAR. */
export type NarNode =
  | { readonly kind: 'folder' }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'file'; readonly size: number };

/** Is shown each node as it begins, and what its files contain. */
export interface NarVisitor {
  /** @param path names below the root, `/` between them; empty for the root itself */
  node(path: string, node: NarNode): void;
  /** The next bytes of the file that began last. */
  contents(bytes: Buffer): void;
}

const blockBytes = 4096;
/** Names and link targets: no Linux file system has longer ones (PATH_MAX). */
const mostCharacters = 4096;
/** A string with its length and padding. */
const mostBytes = 8 + mostCharacters + 8;
/** Nesting of folders. Each name in a path takes two bytes of PATH_MAX. */
const mostDepth = mostCharacters / 2;

/** States in which only one string may come next. */
const fixed = {
  magic: ['nix-archive-1', 'node'],
  node: ['(', 'type'],
  type: ['type', 'kind'],
  executable: ['', 'contents'],
  contents: ['contents', 'length'],
  target: ['target', 'link'],
  close: [')', 'closed'],
  entry: ['(', 'name tag'],
  'name tag': ['name', 'name'],
  'node tag': ['node', 'node'],
  'entry close': [')', 'entries'],
} as const satisfies Readonly<Record<string, readonly [string, string]>>;

type State = keyof typeof fixed | 'kind' | 'file' | 'link' | 'entries' | 'name' | 'length' | 'closed' | 'end';

export class NarCounter {
  #files = 0;
  #blocks = 0;
  #expressions = 0;
  #state: State = 'magic';
  /** The last name in each open folder: names ascend. */
  readonly #folders: string[] = [];
  /** Bytes still to come of a file, and of the zeros after it. */
  #contents = 0;
  #padding = 0;
  /** The beginning of a string whose end has not arrived yet. */
  #held: Buffer = Buffer.alloc(0);
  #fault: string | undefined;
  readonly #visitor: NarVisitor | undefined;

  constructor(visitor?: NarVisitor) {
    this.#visitor = visitor;
  }

  /** Errors are reported at the end, so that the hash of the whole can be compared first. */
  feed(chunk: Buffer): void {
    if (this.#fault !== undefined) return;
    let from = 0;
    if (this.#held.length > 0) {
      const kept = this.#held.length;
      const joined = Buffer.concat([this.#held, chunk.subarray(0, mostBytes)]);
      const read = this.#read(joined);
      if (read < kept) {
        // Still incomplete, so it contains the whole chunk.
        this.#held = joined;
        return;
      }
      from = read - kept;
    }
    const rest = chunk.subarray(from);
    this.#held = Buffer.from(rest.subarray(this.#read(rest)));
  }

  /** @throws NixmakerError `bundle-malformed` if it was not exactly one whole NAR */
  end(): NarCount {
    if (this.#fault === undefined && this.#state !== 'end') this.#fault = 'it ends too early';
    if (this.#fault !== undefined)
      throw new NixmakerError('bundle-malformed', `it is not a NAR: ${this.#fault}`);
    return { files: this.#files, blocks: this.#blocks, expressions: this.#expressions };
  }

  /** @returns how many bytes were consumed; what remains is less than a string */
  #read(data: Buffer): number {
    let at = 0;
    while (this.#fault === undefined) {
      at = this.#pass(data, at);
      if (this.#fault !== undefined) break;
      if (this.#state === 'end' && at < data.length) this.#fault = 'it has data after its end';
      if (this.#state === 'end' || this.#contents > 0 || this.#padding > 0 || at + 8 > data.length) break;
      const length = data.readUInt32LE(at) + data.readUInt32LE(at + 4) * 2 ** 32;
      if (this.#state === 'length') {
        this.#beginFile(length);
        at += 8;
        continue;
      }
      if (length > mostCharacters) {
        this.#fault = `it has a string of ${length} bytes`;
        break;
      }
      const end = at + 8 + length + paddingOf(length);
      if (end > data.length) break;
      if (!isZero(data, at + 8 + length, end)) {
        this.#fault = 'it has stray bytes between strings';
        break;
      }
      this.#take(data.toString('latin1', at + 8, at + 8 + length));
      at = end;
    }
    return this.#fault === undefined ? at : data.length;
  }

  /** Skips the contents of a file, as far as they have arrived. @returns where to continue */
  #pass(data: Buffer, at: number): number {
    const contents = Math.min(this.#contents, data.length - at);
    this.#contents -= contents;
    const start = at + contents;
    if (contents > 0) this.#visitor?.contents(data.subarray(at, start));
    const padding = this.#contents > 0 ? 0 : Math.min(this.#padding, data.length - start);
    this.#padding -= padding;
    if (!isZero(data, start, start + padding)) this.#fault = 'it has stray bytes after a file’s contents';
    return start + padding;
  }

  #beginFile(size: number): void {
    this.#files += 1;
    this.#blocks += Math.ceil(size / blockBytes);
    if (this.#folders.at(-1)?.endsWith('.nix') === true) this.#expressions += 1;
    this.#contents = size;
    this.#padding = paddingOf(size);
    this.#state = 'close';
    if (Number.isSafeInteger(size)) this.#show({ kind: 'file', size });
    else this.#fault = 'it has a file that is too large';
    this.#settle();
  }

  #take(text: string): void {
    const rule = fixed[this.#state as keyof typeof fixed] as readonly [string, State] | undefined;
    if (rule !== undefined && text === rule[0]) this.#state = rule[1];
    else if (rule !== undefined) this.#fault = this.#unexpected(text);
    else this.#choose(text);
    this.#settle();
  }

  /** Where more than one string may come next. */
  #choose(text: string): void {
    if (this.#state === 'kind') this.#beginNode(text);
    else if (this.#state === 'file' && text === 'executable') this.#state = 'executable';
    else if (this.#state === 'file' && text === 'contents') this.#state = 'length';
    else if (this.#state === 'link') {
      this.#show({ kind: 'link', target: asText(text) });
      this.#state = 'close';
    } else if (this.#state === 'entries' && text === 'entry') this.#state = 'entry';
    else if (this.#state === 'entries' && text === ')') {
      this.#folders.pop();
      this.#state = 'closed';
    } else if (this.#state === 'name' && isAfter(text, this.#folders.at(-1) as string)) {
      this.#folders[this.#folders.length - 1] = text;
      this.#state = 'node tag';
    } else this.#fault = this.#unexpected(text);
  }

  #beginNode(kind: string): void {
    if (kind === 'regular') this.#state = 'file';
    else if (kind === 'symlink') {
      this.#files += 1;
      this.#state = 'target';
    } else if (kind === 'directory' && this.#folders.length < mostDepth) {
      this.#files += 1;
      this.#blocks += 1;
      this.#show({ kind: 'folder' });
      this.#folders.push('');
      this.#state = 'entries';
    } else this.#fault = this.#unexpected(kind);
  }

  #show(node: NarNode): void {
    this.#visitor?.node(asText(this.#folders.join('/')), node);
  }

  /** A node is followed by the end of its entry, or of everything. */
  #settle(): void {
    if (this.#state === 'closed') this.#state = this.#folders.length === 0 ? 'end' : 'entry close';
  }

  #unexpected(text: string): string {
    return `“${text.slice(0, 40)}” is not allowed after ${this.#state}`;
  }
}

/** Strings are read as bytes, one per character. */
const asText = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('utf8');

const paddingOf = (length: number): number => (8 - (length % 8)) % 8;

function isZero(data: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (data[at] !== 0) return false;
  return true;
}

/** A name that a folder may hold after the one before it. Bytes, one per character, so that they compare the way Nix compares them. */
const isAfter = (name: string, last: string): boolean =>
  name > last && name !== '.' && name !== '..' && !/[/\0]/.test(name);
