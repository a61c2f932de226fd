/** What a target already has is counted but not compressed: it is in the index all the same. */
import { narDigest, type PathInfo } from '../../core/release/path-info.ts';
import type { Base } from './base.ts';
import type { CacheFolder } from './cache-folder.ts';
import type { NarCounts } from './nar-counts.ts';

/** @returns whether all of it could be counted. If not, Nix’s store is not in this machine’s store folder */
export async function leaveOut(
  closure: readonly PathInfo[],
  { base, cache, counts }: { base: Base; cache: CacheFolder; counts: NarCounts },
): Promise<boolean> {
  let isAll = true;
  for (const info of closure) {
    if (!base.paths.has(info.path)) continue;
    if (await counts.addFromStore(info)) cache.add({ ...info, narHash: narDigest(info), file: undefined });
    else isAll = false;
  }
  return isAll;
}
