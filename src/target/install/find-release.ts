/** Which release is to be installed: a bundle, or the newest of one host in the pool of a medium. */
import { stat } from 'node:fs/promises';
import { listPool } from '../../bundle/pool.ts';
import { NixmakerError } from '../../core/errors.ts';
import type { Source } from '../update/open.ts';

export interface FoundRelease {
  readonly source: Source;
  /** For people. */
  readonly name: string;
  /** Of the medium’s folder; undefined for a bundle that is a file. */
  readonly medium: string | undefined;
}

/**
 * @param host who the machine is to be; a medium with a pool needs to know, a bundle says so itself
 * @throws NixmakerError `host-unknown`, `no-such-host`, `not-a-bundle`
 */
export async function findRelease(place: string, host: string | undefined): Promise<FoundRelease> {
  // A mistyped name fails as a missing file.
  if (!(await stat(place)).isDirectory())
    return { source: { format: 'bundle', file: place, onMedium: true }, name: place, medium: undefined };
  if (host === undefined)
    throw new NixmakerError('host-unknown', `${await hostsText(place)}; name one with --host`);
  const [newest] = await listPool(place, host);
  if (newest === undefined)
    throw new NixmakerError('no-such-host', `${place} has no release for ${host}: ${await hostsText(place)}`);
  return {
    source: { format: 'pool', path: newest.folder, onMedium: true },
    name: newest.folder,
    medium: place,
  };
}

async function hostsText(place: string): Promise<string> {
  const hosts = [...new Set((await listPool(place)).map((entry) => entry.host))];
  if (hosts.length === 0) throw new NixmakerError('not-a-bundle', `${place} has no pool with releases`);
  const more = hosts.length - 20;
  return `it has releases for ${hosts.slice(0, 20).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
