/** If a release does not find enough room, root is asked to make some (root/make-room.ts), and the work is tried once more. */
import { NixmakerError } from '../../core/errors.ts';
import { type Freed, nothingFreed } from '../../core/run/freed.ts';
import { hasBegunToChange } from '../../core/run/lifecycle.ts';
import { holdPaths } from '../../nix/roots.ts';
import type { Machine } from '../machine/machine.ts';
import type { Root, SignedRelease } from '../machine/root.ts';
import { stillShort, tellFreed } from '../machine/tell-freed.ts';
import { outcomeOf, type Transaction } from '../machine/transaction.ts';
import type { Contents } from './open.ts';
import { pathsToHold } from './plan-import.ts';

interface Run {
  readonly machine: Pick<Machine, 'nix' | 'policy'>;
  readonly root: Pick<Root, 'makeRoom'>;
  readonly transaction: Transaction;
}

interface Wanted {
  readonly release: SignedRelease;
  readonly contents: Contents;
}

/** @throws what `work` throws; `no-space` with what was freed if that was not enough */
export async function withRoom<T>(run: Run, wanted: Wanted, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { policy } = run.machine;
    const lacksRoom = outcomeOf(error).code === 'no-space' && !hasBegunToChange(run.transaction.state);
    if (!lacksRoom || policy.collect === 'never') throw error;
    const freed = await makeRoom(run, wanted);
    await tellFreed(run.transaction, freed);
    return await work().catch((again: unknown) => {
      throw stillShort(again, freed);
    });
  }
}

/** Holds what is already there, and what deltas are relative to: otherwise it would have to be brought again, or could not be. */
async function makeRoom({ machine, root, transaction }: Run, { release, contents }: Wanted): Promise<Freed> {
  const { release: letGo } = await holdPaths(machine.nix, pathsToHold(contents));
  try {
    return await root.makeRoom({ transaction, release });
  } catch (error) {
    if (!(error instanceof NixmakerError) || error.code === 'stopped') throw error;
    return { ...nothingFreed, unfinished: `${error.code}: ${error.detail}` };
  } finally {
    letGo();
  }
}
