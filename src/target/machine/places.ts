/** Where bundles may be besides the inbox: media, no matter who mounted them, and folders that carriers fill. */
import { isAllowedSource, isThere, listMounts, mediaAmong, panicsOnError } from '../../media/mounts.ts';
import type { Machine } from './machine.ts';

export interface Place {
  /** `own`: a medium that nixmaker has mounted, read-only. `foreign`: one that others mount. */
  readonly kind: 'own' | 'foreign' | 'folder';
  readonly root: string;
  /** Another medium in the same place is another. */
  readonly id: string;
  /** Reading there may make the kernel panic, as the medium’s maker chose. None of our processes reads or writes there. */
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

/** Those present now: a mount whose device is gone does not count. */
export async function listPlaces(machine: Pick<Machine, 'settings' | 'policy' | 'run'>): Promise<Place[]> {
  const roots = mediaRoots(machine);
  const places: Place[] = machine.policy.media.folders.map((root) => ({ kind: 'folder', root, id: root }));
  for (const mount of roots.length === 0 ? [] : mediaAmong(await listMounts(machine.run), roots)) {
    if (!isAllowedSource(mount, machine.policy.sources) || !(await isThere(mount))) continue;
    const kind = isOwn(machine, mount.target) ? 'own' : 'foreign';
    const place: Place = { kind, root: mount.target, id: `${mount.device} ${mount.source} ${mount.target}` };
    places.push((await panicsOnError(mount)) ? { ...place, isDangerous: true } : place);
  }
  return places;
}
