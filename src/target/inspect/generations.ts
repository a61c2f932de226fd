/** For `doctor`: how many generations there are, which may be deleted to make room, and what was freed last. */
import type { CollectMode } from '../../core/policy/policy.ts';
import { freedText, isAnything } from '../../core/run/freed.ts';
import { readTidied } from '../../state/freed.ts';
import { lookAtGenerations } from '../machine/generations.ts';
import type { Machine } from '../machine/machine.ts';
import { type Found, look, ok } from './found.ts';

const when: Readonly<Record<CollectMode, string>> = {
  never: 'nixmaker deletes none (`collect: never`)',
  'when-needed': 'deleted if an update does not fit',
  'after-commit': 'deleted after every commit',
};

/** So many that nobody can be deleting any. */
const many = 50;

export async function checkGenerations(
  machine: Pick<Machine, 'clock' | 'floorDirectory' | 'policy' | 'settings'>,
): Promise<Found> {
  const { collect } = machine.policy;
  const { all, surplus } = await lookAtGenerations(machine, { isOneComing: false });
  if (all.length === 0) return ok('none yet');
  const may = surplus.length === 0 ? 'none' : String(surplus.length);
  const said = `${all.length}, of which ${may} may go; ${when[collect]}`;
  if (collect === 'never')
    return all.length < many
      ? ok(said)
      : look(
          said,
          'Set `collect` in the policy, or delete old ones: `nix-collect-garbage --delete-older-than 30d`.',
        );
  const tidied = await readTidied(machine.floorDirectory);
  const isTold = tidied !== undefined && (isAnything(tidied.freed) || tidied.freed.unfinished !== undefined);
  return ok(isTold ? `${said}; last, ${tidied.at.slice(0, 16)}: ${freedText(tidied.freed)}` : said);
}
