/**
 * One source for a whole run. A reference to a folder or to a branch means something else whenever its files change, and a run asks
 * many times: two hosts would be made of two sources, and signed as one release of the fleet.
 */
import { join } from 'node:path';
import { NixmakerError } from '../../core/errors.ts';
import type { NixContext } from '../../nix/command.ts';
import {
  checkFlakeReference,
  type FlakeMetadata,
  holdSource,
  listHosts,
  readFlakeMetadata,
} from '../../nix/flake.ts';
import {
  type FlakeNeighbours,
  guardBareName,
  guardFlakeReference,
  guardPlainFolder,
  guardSource,
} from './flake-guard.ts';

export interface LockedSource {
  /** What is to be evaluated; the same files each time. */
  readonly reference: string;
  readonly metadata: FlakeMetadata;
  readonly hosts: readonly string[];
  /** Whether the reference means the same whenever it is asked for, so that it can be evaluated in any place. */
  readonly isLocked: boolean;
  /** Where it can’t be the same for certain (git’s dirty trees): to be asked after each evaluation. @throws `source-changed` */
  readonly check: () => Promise<void>;
}

/** @throws NixmakerError `secret-in-flake`, `output-in-flake`, `evaluation-failed`, `usage` */
export async function lockSource(
  nix: NixContext,
  flake: string,
  neighbours: FlakeNeighbours,
): Promise<LockedSource> {
  checkFlakeReference(flake);
  await guardBareName(flake);
  await guardFlakeReference(flake, neighbours);
  const metadata = await readFlakeMetadata(nix, flake);
  const { locked, path } = metadata;
  // By way of a registry, say.
  if (locked?.type === 'path' && locked.path !== undefined) await guardPlainFolder(locked.path, neighbours);
  if (path !== undefined) await guardSource(path);
  for (const reference of lockedReferences(metadata)) {
    // An older Nix takes not each of them. Where the flake itself is at fault, the operator’s own reference says so below.
    const hosts = await listHosts(nix, reference).catch(() => undefined);
    if (hosts !== undefined)
      return { reference, metadata, hosts, isLocked: true, check: async () => undefined };
  }
  const check = async () => {
    const now = await readFlakeMetadata(nix, flake);
    if (now.path !== path || now.revision !== metadata.revision)
      throw new NixmakerError('source-changed', `${flake} was ${path}, and is now ${now.path}`);
  };
  const hosts = await listHosts(nix, flake);
  await check();
  return { reference: flake, metadata, hosts, isLocked: false, check };
}

/** The best first. None for a working tree that git calls dirty: of that Nix has no name that would hold it. */
function lockedReferences({ locked, url, path }: FlakeMetadata): string[] {
  if (locked === undefined || url === undefined) return [];
  // A dirty tree has a hash as well, which Nix does not hold it to.
  if (locked.type === 'git' || locked.type === 'hg') return locked.rev === undefined ? [] : [url];
  if (locked.type !== 'path') return locked.rev === undefined && locked.narHash === undefined ? [] : [url];
  const { narHash, lastModified, rev, revCount, dir } = locked;
  if (narHash === undefined) return [];
  // Nix with lazy trees makes no copy; it holds the folder to its hash.
  if (path === undefined) return [url];
  // The copy in the store stays as it is; what Nix knew of the folder goes along (Nix src/libfetchers/path.cc).
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ narHash, lastModified, rev, revCount, dir }))
    if (value !== undefined) query.set(name, String(value));
  return [`path:${path}?${query}`, url];
}

/** Against a collection in the middle of the run. */
export async function holdLocked(
  nix: NixContext,
  { metadata: { path } }: LockedSource,
  links: string,
): Promise<void> {
  if (path !== undefined) await holdSource(nix, { path, link: join(links, 'source') });
}
