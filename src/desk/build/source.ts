/**
 * One source for a whole run. What a reference to a folder or branch means changes with its files, and a run asks
 * many times: otherwise two hosts could be built from two sources and signed as one release of the fleet.
 */
import { join } from 'node:path';
import { NixmakerError } from '../../core/errors.ts';
import { chooseHosts } from '../../core/host-pattern.ts';
import { isHostName } from '../../core/schema.ts';
import type { NixContext } from '../../nix/command.ts';
import {
  checkFlakeReference,
  type EvaluatedHost,
  type FlakeMetadata,
  holdSource,
  listHosts,
  readFlakeMetadata,
  surveyHosts,
} from '../../nix/flake.ts';
import { holdForNow } from '../../nix/roots.ts';
import {
  type FlakeNeighbours,
  guardBareName,
  guardFlakeReference,
  guardPlainFolder,
  guardSource,
} from './flake-guard.ts';

export interface LockedSource {
  /** What to evaluate; the same files every time. */
  readonly reference: string;
  readonly metadata: FlakeMetadata;
  readonly hosts: readonly string[];
  /** Evaluated already, because it is the only one wanted; with what came of it. */
  readonly one: { readonly host: string; readonly outcome: Promise<EvaluatedHost> } | undefined;
  /** Whether the reference always means the same, so that it can be evaluated anywhere. */
  readonly isLocked: boolean;
  /** If it can’t be certain to stay the same (git’s dirty trees): called after each evaluation. @throws `source-changed` */
  readonly check: () => Promise<void>;
}

export interface WantedSource {
  readonly flake: string;
  /** Of the hosts that are wanted; none: all. */
  readonly patterns: readonly string[];
}

/** The source, and those of its hosts that are wanted. @throws NixmakerError as `lockSource`; `no-such-host` */
export async function chooseFrom(
  nix: NixContext,
  wanted: WantedSource,
  neighbours: FlakeNeighbours,
): Promise<{ readonly source: LockedSource; readonly hosts: readonly string[] }> {
  const source = await lockSource(nix, wanted, neighbours);
  const { hosts, missing } = chooseHosts(source.hosts, wanted.patterns);
  if (missing === undefined) return { source, hosts };
  throw new NixmakerError(
    'no-such-host',
    `“${missing}” is not one of ${source.hosts.join(', ') || 'the hosts (there are none)'}`,
  );
}

/**
 * @throws NixmakerError `secret-in-flake`, `output-in-flake`, `evaluation-failed`, `usage`
 */
export async function lockSource(
  nix: NixContext,
  { flake, patterns }: WantedSource,
  neighbours: FlakeNeighbours,
): Promise<LockedSource> {
  checkFlakeReference(flake);
  await guardBareName(flake);
  await guardFlakeReference(flake, neighbours);
  const metadata = await readFlakeMetadata(nix, flake);
  // Not beside it: two that open a new store at once may each find the other’s half-written schema, which is “corrupt” to them
  // (Nix src/libstore/local-store.cc, LocalStore: both hold the lock for reading).
  nix.daemon?.start();
  const { locked, path } = metadata;
  // Through a registry, say.
  if (locked?.type === 'path' && locked.path !== undefined) await guardPlainFolder(locked.path, neighbours);
  // The daemon is only just starting: what is evaluated meanwhile is looked for again if it goes.
  const holding = path === undefined ? undefined : holdForNow(nix, path);
  holding?.catch(() => undefined);
  if (path !== undefined) await guardSource(path);
  for (const reference of lockedReferences(metadata)) {
    // An older Nix does not take all of them. If the flake itself is at fault, the operator’s own reference reports it below.
    const surveyed = await survey(nix, reference, patterns).catch(() => undefined);
    await holding;
    if (surveyed !== undefined)
      return { reference, metadata, ...surveyed, isLocked: true, check: async () => undefined };
  }
  await holding;
  const check = async () => {
    const now = await readFlakeMetadata(nix, flake);
    if (now.path !== path || now.revision !== metadata.revision)
      throw new NixmakerError('source-changed', `${flake} was ${path}, and is now ${now.path}`);
  };
  const surveyed = await survey(nix, flake, patterns);
  await check();
  return { reference: flake, metadata, ...surveyed, isLocked: false, check };
}

/** With one start of Nix where only one host is wanted: each takes as long as the evaluation of a small one. */
async function survey(
  nix: NixContext,
  reference: string,
  [wanted, ...others]: readonly string[],
): Promise<Pick<LockedSource, 'hosts' | 'one'>> {
  if (others.length > 0 || (wanted !== undefined && !isHostName(wanted)))
    return { hosts: await listHosts(nix, reference), one: undefined };
  try {
    const { hosts, one } = await surveyHosts(nix, reference, wanted);
    return { hosts, one: one && { host: one.host, outcome: Promise.resolve(one) } };
  } catch (error) {
    // The flake’s fault, or this host’s.
    const hosts = await listHosts(nix, reference);
    const host = wanted ?? (hosts.length === 1 ? hosts[0] : undefined);
    // Of anything but an evaluation that failed, Nix says more clearly what is wrong when it is asked again.
    const isEvaluations = error instanceof NixmakerError && error.code === 'evaluation-failed';
    if (!isEvaluations || host === undefined || !hosts.includes(host)) return { hosts, one: undefined };
    const outcome = Promise.reject(error);
    outcome.catch(() => undefined);
    return { hosts, one: { host, outcome } };
  }
}

/** Best first. None for a working tree that git calls dirty: Nix has no name for it that would be pinned. */
function lockedReferences({ locked, url, path }: FlakeMetadata): string[] {
  if (locked === undefined || url === undefined) return [];
  // A dirty tree has a hash too, but Nix does not hold it to that.
  if (locked.type === 'git' || locked.type === 'hg') return locked.rev === undefined ? [] : [url];
  if (locked.type !== 'path') return locked.rev === undefined && locked.narHash === undefined ? [] : [url];
  const { narHash, lastModified, rev, revCount, dir } = locked;
  if (narHash === undefined) return [];
  // Nix with lazy trees makes no copy; it checks the folder against its hash.
  if (path === undefined) return [url];
  // The copy in the store does not change; what Nix knew about the folder goes along (Nix src/libfetchers/path.cc).
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ narHash, lastModified, rev, revCount, dir }))
    if (value !== undefined) query.set(name, String(value));
  return [`path:${path}?${query}`, url];
}

/** Against a garbage collection during the run. */
export async function holdLocked(
  nix: NixContext,
  { metadata: { path } }: LockedSource,
  links: string,
): Promise<void> {
  if (path !== undefined) await holdSource(nix, { path, link: join(links, 'source') });
}
