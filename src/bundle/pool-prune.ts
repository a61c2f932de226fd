/** Cleans up what a pool no longer needs: old sequences, and files that no entry needs. */
import { readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { sequencesFile } from '../core/bundle/pool-paths.ts';
import { nix32 } from '../core/store-path.ts';
import { namesIn } from '../files/read.ts';
import {
  cacheOf,
  draftOf,
  entryFiles,
  hostsOf,
  keyringsOf,
  type PoolEntry,
  partsName,
  sbomName,
} from './pool.ts';

const knownFiles: readonly string[] = [...entryFiles, partsName, sbomName];

/** Deletes an entry: the manifest first, so that it no longer counts whatever happens next. */
export async function removeEntry({ folder }: Pick<PoolEntry, 'folder'>): Promise<void> {
  await rm(join(folder, 'manifest.json'), { force: true });
  const known = knownFiles.flatMap((name) => [name, draftOf(name)]);
  const ours = (await readdir(folder)).filter((name) => known.includes(name));
  for (const name of ours) await rm(join(folder, name));
  // Anything else somebody has put there stays.
  await rmdir(folder).catch(() => undefined);
}

/** One host’s entries older than the newest `keep`. */
export function entriesToPrune(entries: readonly PoolEntry[], host: string, keep: number): PoolEntry[] {
  return entries
    .filter((e) => e.host === host)
    .sort((a, b) => b.sequence - a.sequence)
    .slice(keep);
}

const digest = `[${nix32}]{52}`;
const indexName = new RegExp(`^${digest}(?:\\.sig)?$`);
const indexDraft = new RegExp(`^\\.${digest}(?:\\.sig)?\\.part$`);
const keyringDraft = /^\.[1-9][0-9]*\.keyring\.part$/;
const entryDraft = /^\.[1-9][0-9]*\.part$/;
const pieceForms = {
  nar: new RegExp(`^(${digest}\\.nar\\.zst)(?:\\.[0-9]{3})?$`),
  delta: new RegExp(`^(${digest}\\.zst)(?:\\.[0-9]{3})?$`),
};

/**
 * Deletes files that no entry needs. Only names of the kind we give are considered.
 * @param needed names below `cache/` that the pool’s entries need; if one entry is missing, nothing may be deleted
 * @returns how many files were deleted
 */
export async function collectGarbage(root: string, needed: ReadonlySet<string>): Promise<number> {
  const cache = cacheOf(root);
  const spare: string[] = [];
  for (const name of await namesIn(join(cache, 'index')))
    if (indexName.test(name) && !needed.has(`index/${name}`)) spare.push(join('index', name));
  for (const [kind, form] of Object.entries(pieceForms))
    for (const folder of await namesIn(join(cache, kind)))
      for (const name of await namesIn(join(cache, kind, folder), 'ENOTDIR')) {
        const whole = form.exec(name)?.[1];
        // FAT may show a short name in capitals.
        if (whole !== undefined && !needed.has(`${kind}/${folder.toLowerCase()}/${whole}`))
          spare.push(join(kind, folder, name));
      }
  for (const name of spare) await rm(join(cache, name));
  return spare.length;
}

/**
 * Deletes what an interrupted writer had begun and not yet named, for whichever host: nobody else would. Only for the holder
 * of the pool’s lock.
 */
export async function clearDrafts(root: string): Promise<void> {
  const index = join(cacheOf(root), 'index');
  for (const name of await namesIn(index)) if (indexDraft.test(name)) await rm(join(index, name));
  for (const name of await namesIn(keyringsOf(root)))
    if (keyringDraft.test(name)) await rm(join(keyringsOf(root), name));
  for (const host of await namesIn(hostsOf(root))) await clearHostDrafts(join(hostsOf(root), host));
}

async function clearHostDrafts(host: string): Promise<void> {
  for (const name of await namesIn(host, 'ENOTDIR'))
    if (entryDraft.test(name)) await rm(join(host, name), { recursive: true });
    else if (name === draftOf(sequencesFile)) await rm(join(host, name));
    else if (/^[1-9]/.test(name))
      for (const file of await namesIn(join(host, name), 'ENOTDIR'))
        if (knownFiles.some((known) => draftOf(known) === file)) await rm(join(host, name, file));
}
