/**
 * What a bundle should not carry: the flake's own source, or another host's system. Both have leaked one machine's
 * secrets to another (the forum thread's complaint). Pure: a closure in, chains of references out.
 */
import { nameOf, type StorePath } from '../store-path.ts';

export interface ClosureNode {
  readonly path: StorePath;
  readonly references: readonly StorePath[];
}

export interface Leak {
  readonly kind: 'source' | 'other-host';
  readonly path: StorePath;
  /** From the root to the leaked path, both included. */
  readonly chain: readonly StorePath[];
}

export interface LeakQuestion {
  readonly root: StorePath;
  readonly closure: readonly ClosureNode[];
  /** The flake's source in the store, if known, and copies of it. */
  readonly sources: ReadonlySet<StorePath>;
  /** Systems (or their derivations) of other hosts, as far as they are known. */
  readonly otherSystems: ReadonlySet<StorePath>;
}

export function findLeaks(question: LeakQuestion): Leak[] {
  return question.closure.flatMap(({ path }) => {
    const kind = kindOf(path, question);
    return kind === undefined ? [] : [{ kind, path, chain: chainTo(path, question) }];
  });
}

function kindOf(path: StorePath, { root, sources, otherSystems }: LeakQuestion): Leak['kind'] | undefined {
  if (path === root) return undefined;
  if (sources.has(path)) return 'source';
  if (otherSystems.has(path)) return 'other-host';
  // NixOS's names for its toplevels (nixpkgs nixos/modules/system/activation/top-level.nix). A specialisation belongs
  // to the same host, and has the same name.
  const name = nameOf(path);
  if (name.startsWith('nixos-system-') && hostPart(name) !== hostPart(nameOf(root))) return 'other-host';
  return undefined;
}

function hostPart(name: string): string {
  return name.replace(/\.drv$/, '').replace(/-[^-]*$/, '');
}

/** The shortest chain of references. */
function chainTo(goal: StorePath, { root, closure }: LeakQuestion): StorePath[] {
  const references = new Map(closure.map((node) => [node.path, node.references]));
  const cameFrom = new Map<StorePath, StorePath | undefined>([[root, undefined]]);
  const queue: StorePath[] = [root];
  for (const path of queue) {
    if (path === goal) break;
    for (const next of references.get(path) ?? []) {
      if (cameFrom.has(next)) continue;
      cameFrom.set(next, path);
      queue.push(next);
    }
  }
  const chain: StorePath[] = [];
  for (let path: StorePath | undefined = goal; path !== undefined; path = cameFrom.get(path))
    chain.unshift(path);
  return chain;
}
