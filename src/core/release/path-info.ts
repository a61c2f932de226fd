/** A store path as it is signed, by us and by Nix. */
import type { StorePath } from '../store-path.ts';

export interface PathInfo {
  readonly path: StorePath;
  /** `sha256:` and Nix’s base 32, as narinfos have it. */
  readonly narHash: string;
  /** Bytes. */
  readonly narSize: number;
  /** Sorted, as in what Nix signs. */
  readonly references: readonly StorePath[];
  /** As Nix writes it; undefined if the path is named after its inputs. */
  readonly ca?: string;
}

/** Only the digest: indexes and piece names have it without the prefix. */
export const narDigest = ({ narHash }: Pick<PathInfo, 'narHash'>): string => narHash.replace(/^sha256:/, '');
