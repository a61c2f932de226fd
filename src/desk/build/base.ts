/** What targets already have: what their bundles leave out, and what deltas are made against. */
import type { StorePath } from '../../core/store-path.ts';

/** What a target already has. */
export interface Base {
  readonly paths: ReadonlySet<StorePath>;
}

/** What a target has no matter which of the bases it has; undefined if there are no bases. */
export function commonOf(bases: readonly Base[]): Base | undefined {
  const [first, ...others] = bases;
  if (first === undefined) return undefined;
  return { paths: new Set([...first.paths].filter((path) => others.every(({ paths }) => paths.has(path)))) };
}
