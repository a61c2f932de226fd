/** The NARs of a closure that are to travel, compressed and counted. */
import { join } from 'node:path';
import type { Content } from '../../core/release/manifest.ts';
import { parseDrvPath, type StorePath } from '../../core/store-path.ts';
import { type CopySubject, copyToCacheFolder } from '../../nix/build.ts';
import { queryClosure } from '../../nix/closure.ts';
import type { NixContext } from '../../nix/command.ts';
import type { Base } from './base.ts';
import { type CachedPath, CacheFolder } from './cache-folder.ts';
import { StoreCompressor } from './compress.ts';
import { leaveOut } from './leave-out.ts';
import type { NarCache } from './nar-cache.ts';
import { NarCounts } from './nar-counts.ts';
import { refuseFloating, refuseTooLarge } from './refuse-early.ts';

/** Shared by all hosts of a build. */
export interface Packing {
  readonly nix: NixContext;
  readonly cache: CacheFolder;
  readonly counts: NarCounts;
  readonly compressor: StoreCompressor;
}

export interface ClosureToPack {
  readonly root: StorePath;
  readonly content: Content;
  /** What the target already has is counted, not compressed. */
  readonly base?: Base;
}

/** @param staging the run's own @param nars what earlier builds compressed */
export function makePacking(nix: NixContext, staging: string, nars: NarCache | undefined): Packing {
  const cache = new CacheFolder(join(staging, 'cache'));
  const counts = new NarCounts(cache, nars);
  const compressor = new StoreCompressor(join(staging, 'compressed'), { cache, counts, nars });
  return { nix, cache, counts, compressor };
}

/**
 * Anything that can’t become a bundle is reported before compression starts.
 * @throws NixmakerError `bundle-too-large`, `evaluation-failed`
 */
export async function packClosure(
  { nix, cache, counts, compressor }: Packing,
  { root, content, base }: ClosureToPack,
  say: (progress: string) => void,
): Promise<CachedPath[]> {
  const infos = await queryClosure(nix, root);
  refuseTooLarge(infos, root);
  if (content === 'derivation') await refuseFloating(infos);
  const isCounted = base === undefined || (await leaveOut(infos, { base, cache, counts }));
  const travelling = infos.filter((info) => base?.paths.has(info.path) !== true);
  const isAll = await compressor.addAll(travelling, (done) => say(`${done} of ${travelling.length}`));
  if (isAll && isCounted) return cache.closureOf(root);
  // Nix keeps the rest in a store elsewhere.
  const recipe = content === 'derivation' ? parseDrvPath(root) : undefined;
  const subject: CopySubject =
    recipe === undefined ? { kind: 'outputs', path: root } : { kind: 'derivation', path: recipe };
  const onProgress = ({ done, expected }: { readonly done: number; readonly expected: number }) =>
    say(`${done} of ${expected}`);
  await copyToCacheFolder(nix, { subject, folder: cache.path }, { onProgress });
  return cache.closureOf(root);
}
