/** What the entries of a pool need: for clearing away what none of them does. */
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readSmall } from '../../bundle/file.ts';
import { readHeadFiles } from '../../bundle/head-files.ts';
import {
  hostFolders,
  hostsOf,
  indexName,
  listPool,
  mostEntries,
  nixSignaturesName,
  type PoolEntry,
} from '../../bundle/pool.ts';
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
  const unlisted = await findUnlisted(root);
  if (unlisted !== undefined) return { names, unknown: unlisted };
  for (const entry of entries) {
    try {
      for (const name of (await needsOf(entry)) ?? []) names.add(name);
    } catch (error) {
      if (!(error instanceof NixmakerError)) throw error;
      return { names, unknown: `${entry.host}, sequence ${entry.sequence},` };
    }
  }
  return { names, unknown: undefined };
}

/**
 * Threat: a listing ends after so many names, whatever they are, and passes over links; whoever is left out of it needs something all the
 * same.
 */
async function findUnlisted(root: string): Promise<string | undefined> {
  const hosts = hostsOf(root);
  if ((await lstat(hosts)).isSymbolicLink()) return hosts;
  const { length, links } = await namesOf(hosts);
  if (length >= mostEntries) return `more than ${mostEntries} hosts`;
  if (links.length > 0) return links[0];
  for (const host of await hostFolders(root)) {
    const of = await namesOf(join(hosts, host));
    if (of.length >= mostEntries || of.links.length > 0) return host;
  }
  return undefined;
}

async function namesOf(folder: string): Promise<{ readonly length: number; readonly links: string[] }> {
  const found = await readdir(folder, { withFileTypes: true });
  return { length: found.length, links: found.filter((e) => e.isSymbolicLink()).map(({ name }) => name) };
}

/** Whether an entry counts: its manifest and contents can be read. */
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
