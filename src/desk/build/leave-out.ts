/** What a target has already is not compressed first and left out afterwards. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { plainNarinfo, renderNarinfo } from '../../core/bundle/narinfo.ts';
import type { PathInfo } from '../../core/release/path-info.ts';
import { hashPart } from '../../core/store-path.ts';
import type { Base } from './assemble.ts';
import type { NarCounts } from './nar-counts.ts';

/**
 * A path whose narinfo is in a binary cache is there for Nix, and is not copied. What this machine’s own store folder does not
 * hold as Nix knows it is copied all the same, for it has to be counted.
 */
export async function leaveOut(
  closure: readonly PathInfo[],
  { base, folder, counts }: { base: Base; folder: string; counts: NarCounts },
): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const info of closure) {
    if (!base.paths.has(info.path) || !(await counts.addFromStore(info))) continue;
    await writeFile(join(folder, `${hashPart(info.path)}.narinfo`), renderNarinfo(plainNarinfo(info)));
  }
}
