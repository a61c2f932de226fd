/** The bundles that are ready for the fleet. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ifMissing } from '../../core/errno.ts';
import { isHostName } from '../../core/schema.ts';
import { readLastManifest } from '../build/sequence.ts';

export interface ReadyBundle {
  readonly sequence: number;
  readonly bytes: number;
}

/** The newest bundle by host, in `<directory>/<host>/`. Folders without one are passed over. */
export async function readNewestBundles(directory: string): Promise<ReadonlyMap<string, ReadyBundle>> {
  const newest = new Map<string, ReadyBundle>();
  for (const host of (await readdir(directory)).filter(isHostName)) {
    const folder = join(directory, host);
    const manifest = await readLastManifest(folder, host);
    if (manifest === undefined) continue;
    const extension = manifest.tarball === undefined ? 'tar' : 'tar.gz';
    newest.set(host, {
      sequence: manifest.sequence,
      bytes: await sizeOf(join(folder, `${host}.${extension}`)),
    });
  }
  return newest;
}

/** Bytes of what a carrier has to bring. The tarball of a classic pair may have gone already. */
const sizeOf = async (path: string): Promise<number> =>
  (await stat(path).catch(ifMissing(undefined)))?.size ?? 0;
