/** Where bundles may be besides the inbox: media, whoever mounted them, and carriers’ folders. */
import { isAllowedSource, isThere, listMounts, mediaAmong, panicsOnError } from '../../media/mounts.ts';
import type { Machine } from './machine.ts';

export interface Place {
  /** `own`: a medium mounted by nixmaker, read-only. `foreign`: one mounted by somebody else. */
  readonly kind: 'own' | 'foreign' | 'folder';
  readonly root: string;
  /** Tells different media in the same place apart. */
  readonly id: string;
  /** Reading there may panic the kernel, as whoever made the medium chose. None of our processes reads or writes there. */
  readonly isDangerous?: true;
}

type Places = Pick<Machine, 'settings' | 'policy'>;

const isOwn = ({ settings, policy }: Places, target: string) =>
  policy.media.mount && target.startsWith(`${settings.media.directory}/`);

/** Folders at or below which media may be mounted. */
export function mediaRoots({ settings, policy }: Places): readonly string[] {
  if (!policy.sources.media) return [];
  return [...settings.media.roots, ...(policy.media.mount ? [settings.media.directory] : [])];
}

/** Folders that carriers fill, `nixmaker fetch` among them. */
export function carriersFolders({ settings, policy }: Places): readonly string[] {
  const { folders } = policy.media;
  const fetched = policy.sources.servers.length === 0 ? [] : [settings.fetchDirectory];
  return [...new Set([...folders, ...fetched])];
}

/** Those present now; a mount whose device is gone does not count. */
export async function listPlaces(machine: Pick<Machine, 'settings' | 'policy' | 'run'>): Promise<Place[]> {
  const roots = mediaRoots(machine);
  const places: Place[] = carriersFolders(machine).map((root) => ({ kind: 'folder', root, id: root }));
  for (const mount of roots.length === 0 ? [] : mediaAmong(await listMounts(machine.run), roots)) {
    if (!isAllowedSource(mount, machine.policy.sources) || !(await isThere(mount))) continue;
    const kind = isOwn(machine, mount.target) ? 'own' : 'foreign';
    const place: Place = { kind, root: mount.target, id: `${mount.device} ${mount.source} ${mount.target}` };
    places.push((await panicsOnError(mount)) ? { ...place, isDangerous: true } : place);
  }
  return places;
}
