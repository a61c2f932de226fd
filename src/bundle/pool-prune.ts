/** Clearing away what nobody wants of a pool any more: old sequences, and members that no manifest names. */
import { readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { nix32 } from '../core/store-path.ts';
import { namesIn } from '../files/read.ts';
import { cacheOf, type PoolEntry } from './pool.ts';
import type { PoolIndex } from './pool-index.ts';

/** Takes an entry away: the manifest first, so that it counts no more whatever happens next. */
export async function removeEntry({ folder }: Pick<PoolEntry, 'folder'>): Promise<void> {
  await rm(join(folder, 'manifest.json'), { force: true });
  const ours = (await readdir(folder)).filter(
    (n) => ['manifest.sig', 'meta'].includes(n) || n.endsWith('.narinfo'),
  );
  for (const name of ours) await rm(join(folder, name));
  // What else somebody has put there stays.
  await rmdir(folder).catch(() => undefined);
}

/** Entries of one host that are older than the newest `keep`. */
export function entriesToPrune(entries: readonly PoolEntry[], host: string, keep: number): PoolEntry[] {
  return entries
    .filter((e) => e.host === host)
    .sort((a, b) => b.sequence - a.sequence)
    .slice(keep);
}

const narinfoName = new RegExp(`^[${nix32}]{32}\\.narinfo$`);
const contentsName = new RegExp(`^([${nix32}]{52}(?:\\.nar)?\\.zst)(?:\\.[0-9]{3})?$`);

/**
 * Deletes members that none of the manifests names. Only files with the names we give are looked at.
 * @param index of all of the pool's manifests; with one missing nothing may be deleted
 * @returns how many files went
 */
export async function collectGarbage(root: string, index: PoolIndex): Promise<number> {
  const cache = cacheOf(root);
  const narinfos = (await namesIn(cache)).filter((n) => narinfoName.test(n) && !index.needs(n));
  const contents: string[] = [];
  for (const folder of ['nar', 'delta'])
    for (const name of await namesIn(join(cache, folder))) {
      const whole = contentsName.exec(name)?.[1];
      if (whole !== undefined && !index.needs(`${folder}/${whole}`)) contents.push(join(folder, name));
    }
  for (const name of [...narinfos, ...contents]) await rm(join(cache, name));
  return narinfos.length + contents.length;
}
