/** The order in which store paths can be registered: what a path refers to before the path itself. */

import type { StorePath } from '../store-path.ts';
import type { PathInfo } from './manifest.ts';

type Node = Pick<PathInfo, 'path' | 'references'>;

/**
 * The closure of `root` among the listed paths, references first. What is listed and not part of it is left out, and so is
 * what is referred to and not listed. Where paths refer to each other, which Nix never makes, one comes first; the store
 * then refuses it.
 */
export function closureInOrder<T extends Node>(paths: readonly T[], root: StorePath): T[] {
  const nodes = new Map(paths.map((node) => [node.path, node]));
  const ordered: T[] = [];
  const seen = new Set<StorePath>();
  // A stack of our own: a hostile chain of references is as long as a manifest allows.
  const stack: { readonly node: T; next: number }[] = [];
  const enter = (path: StorePath) => {
    const node = nodes.get(path);
    if (node === undefined || seen.has(path)) return;
    seen.add(path);
    stack.push({ node, next: 0 });
  };
  enter(root);
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const reference = top.node.references[top.next];
    top.next += 1;
    if (reference !== undefined) enter(reference);
    else {
      ordered.push(top.node);
      stack.pop();
    }
  }
  return ordered;
}
