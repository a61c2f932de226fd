/** Which of a base’s paths a changed path most likely comes from, judged by name: the same, or the same but for its version. Pure. */
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

/** Those with the same name, or else with the same but for the version; nearest size first, and of those the first. */
export class Namesakes {
  readonly #byName: ReadonlyMap<string, readonly Sized[]>;
  readonly #byStem: ReadonlyMap<string, readonly Sized[]>;

  constructor(base: readonly Sized[]) {
    this.#byName = group(base, ({ path }) => nameOf(path));
    this.#byStem = group(base, ({ path }) => stemOf(path));
  }

  of({ path, narSize }: Sized): readonly Sized[] {
    const found = this.#byName.get(nameOf(path)) ?? this.#byStem.get(stemOf(path)) ?? [];
    const distance = (other: Sized) => Math.abs(other.narSize - narSize);
    return found.toSorted((a, b) => distance(a) - distance(b));
  }
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
