/** Writing a closure’s index: depths, order, lines, sums. */
import { NixmakerError } from '../errors.ts';
import { limits } from '../limits.ts';
import { type StorePath, toBaseName } from '../store-path.ts';
import type { IndexLine } from './index-file.ts';
import type { ReleaseTotals } from './manifest.ts';

/** A path as Nix knows it, and what its NAR is made of. */
export interface IndexedPath extends Omit<IndexLine, 'references'> {
  readonly references: readonly StorePath[];
}

export interface WrittenIndex {
  readonly text: string;
  readonly totals: ReleaseTotals;
  /** The paths in the order of their lines. */
  readonly paths: readonly StorePath[];
}

/**
 * The index of `root` and everything it refers to; other paths are left out.
 * @throws NixmakerError `closure-incomplete` if a path is not among those given, `bundle-too-large`
 */
export function encodeIndex(given: Iterable<IndexedPath>, root: StorePath): WrittenIndex {
  const paths = new Map<StorePath, IndexedPath>();
  for (const path of given) paths.set(path.path, path);
  const depths = depthsOf(paths, root);
  if (depths.size > limits.lines)
    throw tooLarge(`the closure has ${depths.size} paths; the limit is ${limits.lines}`);
  const ordered = byDepthAndName(depths);
  const numbers = new Map(ordered.map((path, i) => [path, i]));
  const totals = { paths: ordered.length, files: 0, blocks: 0, narBytes: 0, largestNar: 0 };
  let references = 0;
  let text = '';
  for (const path of ordered) {
    const info = paths.get(path) as IndexedPath;
    const lines = [...new Set(info.references)].map((r) => numbers.get(r) as number).sort((a, b) => a - b);
    const fields = [toBaseName(path), info.narHash, info.narSize, info.files, info.blocks, lines, info.ca];
    text += `${JSON.stringify(fields)}\n`;
    references += lines.length;
    totals.files += info.files;
    totals.blocks += info.blocks;
    totals.narBytes += info.narSize;
    totals.largestNar = Math.max(totals.largestNar, info.narSize);
  }
  if (text.length > limits.indexBytes)
    throw tooLarge(`its index would have ${text.length} bytes; the limit is ${limits.indexBytes}`);
  if (references > limits.references)
    throw tooLarge(`its paths have ${references} references; the limit is ${limits.references}`);
  return { text, totals, paths: ordered };
}

/** In line order. Depth by depth, because the runtime can then sort plain names. */
function byDepthAndName(depths: ReadonlyMap<StorePath, number>): StorePath[] {
  const layers: StorePath[][] = [];
  for (const [path, depth] of depths) {
    layers[depth] ??= [];
    layers[depth].push(path);
  }
  return layers.flatMap((layer) => layer.sort());
}

const tooLarge = (detail: string) => new NixmakerError('bundle-too-large', detail);

/** Instead of the depth of a path whose references are being looked at. */
const isOpen = -1;

/** For the closure of `root`: 0 without references to others, else one more than the deepest of them. */
function depthsOf(paths: ReadonlyMap<StorePath, IndexedPath>, root: StorePath): Map<StorePath, number> {
  const depths = new Map<StorePath, number>();
  // Our own stack: a chain of references may be as long as the closure.
  const stack: { readonly path: StorePath; readonly others: readonly StorePath[]; next: number }[] = [];
  const enter = (path: StorePath, by?: StorePath) => {
    const info = paths.get(path);
    const whose = () => (by === undefined ? '' : `, a reference of ${by},`);
    if (info === undefined) throw new NixmakerError('closure-incomplete', `${path}${whose()} is missing`);
    depths.set(path, isOpen);
    stack.push({ path, others: info.references.filter((r) => r !== path), next: 0 });
  };
  enter(root);
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const reference = top.others[top.next];
    top.next += 1;
    if (reference === undefined) {
      depths.set(
        top.path,
        top.others.reduce((depth, r) => Math.max(depth, (depths.get(r) as number) + 1), 0),
      );
      stack.pop();
      continue;
    }
    const depth = depths.get(reference);
    if (depth === isOpen)
      throw new NixmakerError('closure-incomplete', `${reference} refers to itself through other paths`);
    if (depth === undefined) enter(reference, top.path);
  }
  return depths;
}
