/** The bundles that are ready for the fleet. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ifMissing } from '../../core/errno.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import { isHostName } from '../../core/schema.ts';
import { readLast } from '../build/sequence.ts';

export interface ReadyBundle {
  readonly sequence: number;
  readonly bytes: number;
}

export interface ReadyBundles {
  readonly ready: ReadonlyMap<string, ReadyBundle>;
  /** Hosts that have a bundle which can’t be read. */
  readonly unreadable: readonly string[];
}

/**
 * Each host’s newest bundle, in `<directory>/<host>/`. Folders without one are skipped; a damaged one hides no other.
 * @throws NixmakerError `usage` if there is no such folder
 */
export async function readNewestBundles(directory: string): Promise<ReadyBundles> {
  const entries = await readdir(directory, { withFileTypes: true }).catch((cause: unknown) => {
    throw new NixmakerError('usage', `cannot read ${directory}: ${messageOf(cause)}`, { cause });
  });
  const ready = new Map<string, ReadyBundle>();
  const unreadable: string[] = [];
  for (const { name: host } of entries.filter((e) => e.isDirectory() && isHostName(e.name))) {
    try {
      const bundle = await readNewest(join(directory, host), host);
      if (bundle !== undefined) ready.set(host, bundle);
    } catch (error) {
      if (!(error instanceof NixmakerError)) throw error;
      unreadable.push(host);
    }
  }
  return { ready, unreadable };
}

async function readNewest(folder: string, host: string): Promise<ReadyBundle | undefined> {
  const last = await readLast(folder, host);
  if (last === undefined) return undefined;
  const { manifest, file } = last;
  return { sequence: manifest.sequence, bytes: file === undefined ? 0 : await sizeOf(file) };
}

/** Bytes a carrier has to bring. A classic pair’s tarball may already be gone. */
const sizeOf = async (path: string): Promise<number> =>
  (await stat(path).catch(ifMissing(undefined)))?.size ?? 0;
