/** Holding or freeing a release, on an operator’s word. */
import { NixmakerError } from '../../core/errors.ts';
import { type HeldRelease, heldText, mostHeld } from '../../core/policy/held.ts';
import { readProfile } from '../../nix/profile.ts';
import { readKnownFloor } from '../machine/floor.ts';
import { free, hold, readHeld, releaseOf } from '../machine/held.ts';
import type { RootMachine } from '../machine/machine.ts';
import { withLock } from '../machine/with-lock.ts';

export interface Holding {
  readonly held: readonly HeldRelease[];
  /** The release is the one installed; it stays installed. */
  readonly isInstalled: boolean;
}

/** @throws NixmakerError `usage` if it would not be taken anyway, `held-lost` */
export async function holdRelease(
  machine: RootMachine,
  { sequence, because }: { readonly sequence: number; readonly because: string },
): Promise<Holding> {
  return withLock(machine, async () => {
    const { floor, records } = await readKnownFloor(machine);
    const { held, heldDoubt } = await readHeld(machine.floorDirectory, floor);
    if (heldDoubt !== undefined) throw new NixmakerError('held-lost', heldDoubt);
    const installed = releaseOf(records, (await readProfile(machine.settings.profile)).toplevel);
    const isInstalled = installed?.sequence === sequence;
    // A release signed to go below the floor runs with a lower sequence, and would be taken again.
    if (floor !== undefined && sequence < floor.sequence && !isInstalled)
      throw new NixmakerError(
        'usage',
        `release ${sequence} is older than ${floor.sequence}, the newest taken, so it is refused anyway`,
      );
    if (held.length >= mostHeld)
      throw new NixmakerError('usage', `${held.length} releases are held already; free some first`);
    await hold(machine, sequence, because);
    machine.emit({ event: 'release-held', level: 'warn', sequence, because });
    return { held: (await readHeld(machine.floorDirectory, floor)).held, isInstalled };
  });
}

/** @param sequence the one to free, or all that are held @throws NixmakerError `usage` if it is not held, `held-lost` */
export async function freeRelease(
  machine: RootMachine,
  sequence: number | 'all',
): Promise<readonly HeldRelease[]> {
  return withLock(machine, async () => {
    const { floor } = await readKnownFloor(machine);
    const { held, heldDoubt } = await readHeld(machine.floorDirectory, floor);
    if (sequence !== 'all' && heldDoubt !== undefined) throw new NixmakerError('held-lost', heldDoubt);
    if (sequence !== 'all' && !held.some((h) => h.sequence === sequence)) {
      const are = held.length === 0 ? 'none is' : held.map(heldText).join(', ');
      throw new NixmakerError('usage', `release ${sequence} is not held; ${are}`);
    }
    await free(machine, (h) => sequence !== 'all' && h.sequence !== sequence);
    machine.emit({ event: 'release-freed', level: 'warn', sequence });
    return held.filter((h) => sequence === 'all' || h.sequence === sequence);
  });
}
