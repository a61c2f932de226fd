/** The bundles that are ready for the fleet. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isHostName } from '../../core/schema.ts';
import { readLastManifest } from '../build/sequence.ts';

/** The newest bundle by host, in `<directory>/<host>/`. Folders without one are passed over. */
export async function readNewestBundles(
  directory: string,
): Promise<ReadonlyMap<string, { readonly sequence: number; readonly bytes: number }>> {
  const newest = new Map<string, { sequence: number; bytes: number }>();
  for (const host of (await readdir(directory)).filter(isHostName)) {
    const manifest = await readLastManifest(join(directory, host), host);
    if (manifest === undefined) continue;
    const bytes = manifest.members.reduce((sum, { size }) => sum + size, 0);
    newest.set(host, { sequence: manifest.sequence, bytes });
  }
  return newest;
}
