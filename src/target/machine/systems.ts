/** The systems this machine runs or would go back to: none of them may lose a path. */
import type { StorePath } from '../../core/store-path.ts';
import { readSystemLink } from '../../nix/profile.ts';
import { lookAtGenerations } from './generations.ts';
import type { Machine } from './machine.ts';

/** What is running or installed, pending, held, or the one to roll back to; not what only the retention keeps. */
export async function systemsInUse(
  machine: Pick<Machine, 'clock' | 'floorDirectory' | 'policy' | 'settings'>,
): Promise<readonly StorePath[]> {
  const { currentSystem, bootedSystem } = machine.settings;
  const { all, kept } = await lookAtGenerations(machine, { isOneComing: false });
  const isNeeded = (number: number) => {
    const reason = kept.get(number);
    return reason !== undefined && reason !== 'newest' && reason !== 'young';
  };
  const links = [await readSystemLink(currentSystem), await readSystemLink(bootedSystem)];
  const needed = all.filter(({ number }) => isNeeded(number)).map(({ toplevel }) => toplevel);
  return [...new Set([...links, ...needed].filter((system) => system !== undefined))];
}
