/** The systems this machine runs or would go back to: none of them may lose a path. */
import type { StorePath } from '../../core/store-path.ts';
import { readSystemLink } from '../../nix/profile.ts';
import { isValid } from '../../nix/store.ts';
import { readJournal } from '../../state/journal.ts';
import { lookAtGenerations } from './generations.ts';
import type { Machine } from './machine.ts';
import { findStaged } from './staged.ts';

/** What is running or installed, pending, staged, held, or the one to roll back to; not what only the retention keeps. */
export async function systemsInUse(
  machine: Pick<Machine, 'clock' | 'floorDirectory' | 'nix' | 'policy' | 'settings'>,
): Promise<readonly StorePath[]> {
  const { currentSystem, bootedSystem } = machine.settings;
  const { all, kept } = await lookAtGenerations(machine, { isOneComing: false });
  const isNeeded = (number: number) => {
    const reason = kept.get(number);
    return reason !== undefined && reason !== 'newest' && reason !== 'young';
  };
  const links = [await readSystemLink(currentSystem), await readSystemLink(bootedSystem)];
  const needed = all.filter(({ number }) => isNeeded(number)).map(({ toplevel }) => toplevel);
  const staged = findStaged((await readJournal(machine.floorDirectory)).records)?.toplevel;
  const isThere = staged !== undefined && (await isValid(machine.nix, staged as StorePath));
  const waiting = isThere ? [staged as StorePath] : [];
  return [...new Set([...links, ...needed, ...waiting].filter((system) => system !== undefined))];
}
