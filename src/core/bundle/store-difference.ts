/**
 * A valid path is what someone trusted by Nix said it is, not what the index says: one stolen key is enough to put
 * other contents under a genuine name, and an import leaves them alone. So what is there is compared. Pure.
 */
import type { PathInfo } from '../release/path-info.ts';

/** What Nix’s database says about a valid path. */
export interface StoredPath {
  /** `sha256:` and base 32, as narinfos have it. */
  readonly narHash: string;
  readonly narSize: number;
  /** Sorted. */
  readonly references: readonly string[];
}

/** How a valid path differs from what was signed; undefined if it does not. */
export function differenceOf(
  signed: Pick<PathInfo, 'narHash' | 'narSize' | 'references'>,
  stored: StoredPath,
): string | undefined {
  if (stored.narHash !== signed.narHash || stored.narSize !== signed.narSize) return 'its contents';
  const due = [...signed.references].sort();
  const isSame = due.length === stored.references.length && due.every((r, i) => r === stored.references[i]);
  return isSame ? undefined : 'its references';
}
