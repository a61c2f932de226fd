/** Which path of the base a changed path most likely comes from: the same name, or the same but for its version. Pure. */
import { nameOf, type StorePath } from '../store-path.ts';

export interface Sized {
  readonly path: StorePath;
  readonly narSize: number;
}

/** `openssl-3.0.14-bin` → `openssl-bin`: a part that begins with a digit is a version (Nix’s parseDrvName, and outputs). */
export function stemOf(path: StorePath): string {
  return nameOf(path)
    .split('-')
    .filter((part, i) => i === 0 || !/^[0-9]/.test(part))
    .join('-');
}

/** Of several the one whose size is nearest; of those the first. */
export function findPredecessors(
  changed: readonly Sized[],
  base: readonly Sized[],
): ReadonlyMap<StorePath, Sized> {
  const byName = group(base, ({ path }) => nameOf(path));
  const byStem = group(base, ({ path }) => stemOf(path));
  return new Map(
    changed.flatMap((path) => {
      const candidates = byName.get(nameOf(path.path)) ?? byStem.get(stemOf(path.path)) ?? [];
      const distance = (other: Sized) => Math.abs(other.narSize - path.narSize);
      const best = candidates.reduce<Sized | undefined>(
        (nearest, other) => (nearest === undefined || distance(other) < distance(nearest) ? other : nearest),
        undefined,
      );
      return best === undefined ? [] : [[path.path, best] as const];
    }),
  );
}

function group(paths: readonly Sized[], keyOf: (path: Sized) => string): Map<string, Sized[]> {
  const groups = new Map<string, Sized[]>();
  for (const path of paths) {
    const key = keyOf(path);
    const there = groups.get(key);
    if (there === undefined) groups.set(key, [path]);
    else there.push(path);
  }
  return groups;
}
