/** What a pool’s entries need, so that everything else can be deleted. */
import { join } from 'node:path';
import { readSmall } from '../../bundle/file.ts';
import { readHeadFiles } from '../../bundle/head-files.ts';
import { indexName, listPool, mostEntries, nixSignaturesName, type PoolEntry } from '../../bundle/pool.ts';
import { NixmakerError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import { namesInContents } from '../../core/release/contents-file.ts';
import { readManifest } from '../../signing/verify.ts';

export interface Needed {
  /** Below `cache/`, each once: hosts share most of them, and nothing else of an entry is kept. */
  readonly names: ReadonlySet<string>;
  /** An entry whose needs are unknown, for people. While there is one, nothing may be deleted. */
  readonly unknown: string | undefined;
}

/** Reads each entry’s manifest and contents as they are now. */
export async function readNeeded(root: string): Promise<Needed> {
  const names = new Set<string>();
  const entries = await listPool(root);
  const hosts = Map.groupBy(entries, ({ host }) => host);
  // Threat: the listing ends there, but entries after it need something all the same.
  if (hosts.size >= mostEntries) return { names, unknown: `more than ${mostEntries} hosts` };
  for (const entry of entries) {
    if ((hosts.get(entry.host)?.length ?? 0) >= mostEntries) return { names, unknown: entry.host };
    try {
      for (const name of (await needsOf(entry)) ?? []) names.add(name);
    } catch (error) {
      if (!(error instanceof NixmakerError)) throw error;
      return { names, unknown: `${entry.host}, sequence ${entry.sequence},` };
    }
  }
  return { names, unknown: undefined };
}

/** Whether an entry counts: its manifest and contents are readable. */
export const isUsable = (entry: PoolEntry): Promise<boolean> =>
  needsOf(entry).then(
    (needs) => needs !== undefined,
    (error: unknown) => {
      if (error instanceof NixmakerError) return false;
      throw error;
    },
  );

/** Names below `cache/`; undefined if there is no manifest (yet). @throws NixmakerError */
async function needsOf({ folder }: PoolEntry): Promise<string[] | undefined> {
  const head = await readHeadFiles(folder);
  if (head === undefined) return undefined;
  const manifest = readManifest(head.manifestBytes);
  const contents = await readSmall(join(folder, 'contents'), limits.contentsBytes);
  const pieces = namesInContents(contents ?? Buffer.alloc(0));
  return [indexName(manifest), nixSignaturesName(manifest), ...pieces];
}
