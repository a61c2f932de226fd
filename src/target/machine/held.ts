/** Which releases are held on this machine, and holding one (core/policy/held.ts). */
import { type HeldRelease, heldInForce, withHeld } from '../../core/policy/held.ts';
import type { JournalRecord } from '../../core/run/journal.ts';
import { isLasting } from '../../core/schema.ts';
import { readFloor, type StoredFloor } from '../../state/floor.ts';
import { readHeldFile, writeHeldFile } from '../../state/held.ts';
import { lastOfEach } from '../../state/journal.ts';
import type { Machine } from './machine.ts';

export interface Held {
  /** Those in effect. */
  readonly held: readonly HeldRelease[];
  /** Why the list is unknown. */
  readonly heldDoubt: string | undefined;
}

export async function readHeld(folder: string, floor: StoredFloor | undefined): Promise<Held> {
  const { releases, isDamaged } = await readHeldFile(folder);
  return {
    held: heldInForce(releases, floor),
    heldDoubt: isDamaged ? 'both copies of the list of held releases are damaged' : undefined,
  };
}

/** The lock must be held. A damaged list is left as it is: nobody knows what else was on it. */
export async function hold(
  { floorDirectory, clock }: Pick<Machine, 'floorDirectory' | 'clock'>,
  sequence: number,
  because: string,
): Promise<void> {
  const { number, releases, isDamaged } = await readHeldFile(floorDirectory);
  if (isDamaged) return;
  const { floor } = await readFloor(floorDirectory);
  const next = { sequence, since: clock.now().toISOString(), because };
  await writeHeldFile(floorDirectory, { number: number + 1, releases: withHeld(releases, next, floor) });
}

/** @param keep which entries of the list stay */
export async function free(
  { floorDirectory }: Pick<Machine, 'floorDirectory'>,
  keep: (held: HeldRelease) => boolean,
): Promise<void> {
  const { number, releases, isDamaged } = await readHeldFile(floorDirectory);
  const left = releases.filter(keep);
  if (!isDamaged && left.length === releases.length) return;
  await writeHeldFile(floorDirectory, { number: number + 1, releases: left });
}

export interface InstalledRelease {
  readonly sequence: number;
  /** Its own sequence, or the floor that it was signed to go below. */
  readonly floor: number;
}

/** The newest release installed here with that system. */
export function releaseOf(
  records: readonly JournalRecord[],
  toplevel: string | undefined,
): InstalledRelease | undefined {
  const found = lastOfEach(records).findLast(
    (r) =>
      ['committed', 'pending', 'superseded'].includes(r.state) &&
      isLasting(r.operation) &&
      r.sequence !== undefined &&
      r.toplevel === toplevel,
  );
  if (found?.sequence === undefined) return undefined;
  const { sequence, downgradeFrom } = found;
  return { sequence, floor: typeof downgradeFrom === 'number' ? downgradeFrom : sequence };
}
