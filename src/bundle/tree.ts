/**
 * The files of an opened release, by the paths they will have, before anything of it is imported: links are followed from one store path to
 * another. Each NAR is read once, and counts only if it is what was signed.
 */
import { resolve } from 'node:path';
import { NixmakerError } from '../core/errors.ts';
import { type StorePath, storeDir } from '../core/store-path.ts';
import type { OpenedBundle } from './contents.ts';
import { NarCounter, type NarNode } from './nar-count.ts';
import { NarReader } from './nar-reader.ts';

/** Bytes. A larger file’s contents are not kept. */
const mostKept = 1024 * 1024;
/** Of links in a row: the kernel’s own limit (path_resolution(7)). */
const mostLinks = 40;

/** A folder, or a file and, if it is small, what it contains. */
export type TreeNode =
  | { readonly kind: 'folder' }
  | {
      readonly kind: 'file';
      readonly size: number;
      readonly contents: Buffer | undefined;
      /** Where it is, once every link was followed. */
      readonly path: string;
    };

interface Listed {
  readonly node: NarNode;
  readonly chunks: Buffer[];
}

type Listing = ReadonlyMap<string, Listed>;

export class ReleaseTree {
  readonly #bundle: OpenedBundle;
  readonly #lines: ReadonlyMap<string, number>;
  readonly #nars: NarReader;
  readonly #listings = new Map<number, Promise<Listing>>();

  constructor(bundle: OpenedBundle) {
    this.#bundle = bundle;
    this.#lines = new Map(bundle.index.paths().map((path, line) => [path, line]));
    this.#nars = new NarReader(bundle.reader, noBase);
  }

  /**
   * @param path absolute, in the store
   * @returns undefined if there is nothing, or a link leads out of the release
   * @throws NixmakerError `base-missing` if the release comes without it; `bundle-altered`, `bundle-malformed`, `io-error`
   */
  async lookUp(path: string): Promise<TreeNode | undefined> {
    let wanted = path;
    for (let links = 0; links <= mostLinks; links++) {
      const found = await this.#step(wanted);
      if (typeof found !== 'string') return found;
      wanted = found;
    }
    return undefined;
  }

  /** The text of a small file; undefined if there is no such file. */
  async text(path: string): Promise<string | undefined> {
    const found = await this.lookUp(path);
    return found?.kind === 'file' ? found.contents?.toString('utf8') : undefined;
  }

  /** What is there, or where the first link on the way leads. */
  async #step(path: string): Promise<TreeNode | string | undefined> {
    const [base = '', ...names] = path.slice(storeDir.length + 1).split('/');
    const line = path.startsWith(`${storeDir}/`) ? this.#lines.get(`${storeDir}/${base}`) : undefined;
    if (line === undefined) return undefined;
    const listing = await this.#listing(line);
    for (let depth = 0; depth <= names.length; depth++) {
      const listed = listing.get(names.slice(0, depth).join('/'));
      if (listed === undefined) return undefined;
      const { node, chunks } = listed;
      if (node.kind === 'link') {
        const folder = [storeDir, base, ...names.slice(0, depth)].slice(0, -1).join('/');
        return resolve(folder, node.target, ...names.slice(depth));
      }
      if (depth < names.length) continue;
      if (node.kind === 'folder') return node;
      const contents = node.size <= mostKept ? Buffer.concat(chunks) : undefined;
      return { kind: 'file', size: node.size, contents, path };
    }
    return undefined;
  }

  #listing(line: number): Promise<Listing> {
    const known = this.#listings.get(line) ?? this.#read(line);
    this.#listings.set(line, known);
    return known;
  }

  async #read(line: number): Promise<Listing> {
    const { index, pieces } = this.#bundle;
    const piece = pieces.get(line)?.find((p) => p.kind === 'whole');
    if (piece === undefined) throw withoutIt(index.path(line));
    const listing = new Map<string, Listed>();
    let last: Buffer[] | undefined;
    const counter = new NarCounter({
      node: (path, node) => {
        const listed = { node, chunks: [] };
        listing.set(path, listed);
        last = node.kind === 'file' && node.size <= mostKept ? listed.chunks : undefined;
      },
      // Copied: the reader uses its memory again.
      contents: (bytes) => void last?.push(Buffer.from(bytes)),
    });
    for await (const chunk of this.#nars.read(index.info(line), piece)) counter.feed(chunk);
    counter.end();
    return listing;
  }
}

export const withoutIt = (path: StorePath): NixmakerError =>
  new NixmakerError('base-missing', `${path} is not in it: it was built for a machine that has it already`);

function noBase(path: StorePath): never {
  throw withoutIt(path);
}
