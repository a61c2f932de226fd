/** Where bundles may be besides the inbox: media, whoever mounted them, and folders that carriers fill. */
import { hasPool, listPool } from '../../bundle/pool.ts';
import { type Candidate, listInbox } from '../../media/inbox.ts';
import { isAllowedSource, isThere, listMounts, mediaAmong } from '../../media/mounts.ts';
import type { Access } from '../update/medium-access.ts';
import type { Machine } from './machine.ts';

export interface Place {
  /** `own`: a medium that nixmaker has mounted, read-only. `foreign`: one that others mount. */
  readonly kind: 'own' | 'foreign' | 'folder';
  readonly root: string;
  /** Another medium in the same place is another. */
  readonly id: string;
}

type Places = Pick<Machine, 'settings' | 'policy'>;

const isOwn = ({ settings, policy }: Places, target: string) =>
  policy.media.mount && target.startsWith(`${settings.media.directory}/`);

/** Folders at or below which media may be mounted. */
export function mediaRoots({ settings, policy }: Places): readonly string[] {
  if (!policy.sources.media) return [];
  return [...settings.media.roots, ...(policy.media.mount ? [settings.media.directory] : [])];
}

/** Those that are there now: a mount whose device is gone is none. */
export async function listPlaces(machine: Pick<Machine, 'settings' | 'policy' | 'run'>): Promise<Place[]> {
  const roots = mediaRoots(machine);
  const places: Place[] = machine.policy.media.folders.map((root) => ({ kind: 'folder', root, id: root }));
  for (const mount of roots.length === 0 ? [] : mediaAmong(await listMounts(machine.run), roots)) {
    if (!isAllowedSource(mount, machine.policy.sources) || !(await isThere(mount))) continue;
    const kind = isOwn(machine, mount.target) ? 'own' : 'foreign';
    places.push({ kind, root: mount.target, id: `${mount.device} ${mount.source} ${mount.target}` });
  }
  return places;
}

/** Sequences of one host looked at in one pool; `put` leaves far fewer. */
const mostSequences = 16;

export interface Listing {
  readonly candidates: readonly Candidate[];
  /** It has a folder of ours. */
  readonly hasPool: boolean;
}

/** What lies there for this host, and files that may be for anybody. @throws NixmakerError `medium-stalled`, `medium-unreadable` */
export async function listCandidates(root: string, host: string, { withDeadline }: Access): Promise<Listing> {
  const files = await withDeadline(() => listInbox(root));
  const entries = await withDeadline(() => listPool(root, host));
  const pool = entries
    .slice(0, mostSequences)
    .map(({ folder }): Candidate => ({ format: 'pool', path: folder }));
  return {
    candidates: [...pool, ...files].map((c) => ({ ...c, onMedium: true })),
    hasPool: await withDeadline(() => hasPool(root)),
  };
}
