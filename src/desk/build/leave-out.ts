/** What a target has already is not compressed first and left out afterwards. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { plainNarinfo, renderNarinfo } from '../../core/bundle/narinfo.ts';
import { hashPart, type StorePath } from '../../core/store-path.ts';
import type { NixContext } from '../../nix/command.ts';
import { queryClosure } from '../../nix/path-info.ts';
import type { Base } from './assemble.ts';

/** A path whose narinfo is in a binary cache is there for Nix, and is not copied. */
export async function leaveOut(
  nix: NixContext,
  { root, base, folder }: { root: StorePath; base: Base; folder: string },
): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const info of await queryClosure(nix, root)) {
    if (!base.paths.has(info.path)) continue;
    await writeFile(join(folder, `${hashPart(info.path)}.narinfo`), renderNarinfo(plainNarinfo(info)));
  }
}
