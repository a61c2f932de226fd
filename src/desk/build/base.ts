/** What targets have already: what a bundle for them leaves out, and what its differences are to. */
import type { StorePath } from '../../core/store-path.ts';

/** What a target has already. */
export interface Base {
  readonly paths: ReadonlySet<StorePath>;
}

/** What a target has whichever of the bases it has; undefined where there is none. */
export function commonOf(bases: readonly Base[]): Base | undefined {
  const [first, ...others] = bases;
  if (first === undefined) return undefined;
  return { paths: new Set([...first.paths].filter((path) => others.every(({ paths }) => paths.has(path)))) };
}
