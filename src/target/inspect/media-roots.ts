/** Whether media would be noticed: what each configured folder matches now. Reads only. */
import { constants } from 'node:fs';
import { access, realpath } from 'node:fs/promises';
import { isAllowedSource, listMounts, type Mount, mediaAmong } from '../../media/mounts.ts';
import type { Machine } from '../machine/machine.ts';
import { mediaRoots } from '../machine/places.ts';
import { type Found, look, ok } from './found.ts';

type Asked = Pick<Machine, 'settings' | 'policy' | 'run'>;

export async function checkMedia(machine: Asked): Promise<Found> {
  const { roots } = machine.settings.media;
  if (mediaRoots(machine).length === 0) return ok('not used');
  const missing: string[] = [];
  const links: string[] = [];
  for (const root of [...roots, ...machine.policy.sources.roots]) {
    await access(root, constants.R_OK).catch(() => missing.push(root));
    const real = await realpath(root).catch(() => root);
    if (real !== root) links.push(`${root} points to ${real}`);
  }
  // The kernel’s table lists a mount by its real path.
  if (links.length > 0)
    return look(
      `${links.join(', ')}: a mount point is never reached through a link`,
      'Write the path it points to instead.',
    );
  if (missing.length > 0)
    return look(
      `cannot read ${missing.join(', ')} yet`,
      'It appears with the first medium; otherwise check its permissions.',
    );
  const mounts = await listMounts(machine.run);
  return ok(
    mediaRoots(machine)
      .map((root) => matchedBy(root, mounts, machine))
      .join('; '),
  );
}

function matchedBy(root: string, mounts: readonly Mount[], { policy }: Asked): string {
  const matched = mediaAmong(mounts, [root]).map((mount) =>
    isAllowedSource(mount, policy.sources) ? mount.target : `${mount.target} (the policy does not use it)`,
  );
  return `below ${root}: ${matched.length === 0 ? 'nothing is mounted now' : matched.join(', ')}`;
}
