/** The floor with all that is known of it, and its return by an operator’s word when it was lost. */

import { NixmakerError } from '../../core/errors.ts';
import type { Floor } from '../../core/policy/decide.ts';
import { doubtFloor } from '../../core/run/floor.ts';
import { raiseFloor, readFloor, type StoredFloor } from '../../state/floor.ts';
import { type JournalRecord, readJournal } from '../../state/journal.ts';
import type { Machine } from './machine.ts';
import { withLock } from './with-lock.ts';

export interface KnownFloor {
  /** The journal beside it. */
  readonly records: readonly JournalRecord[];
  readonly floor: StoredFloor | undefined;
  /** Why it can’t be believed. */
  readonly doubt: string | undefined;
  /** The newest bundle that the journal says was committed. */
  readonly committed: StoredFloor | undefined;
}

export async function readKnownFloor(folder: string): Promise<KnownFloor> {
  // The floor is written before the journal’s line, so it is read after it: between the two it can only be higher.
  const { records } = await readJournal(folder);
  const reading = await readFloor(folder);
  const committed = newestCommitted(records);
  return { records, floor: reading.floor, committed, doubt: doubtFloor({ ...reading, committed }) };
}

/** A clock that stands before the newest signed time seen is wrong; that time is the better guess. */
export function timeFloor(
  { clock }: Pick<Machine, 'clock'>,
  floor: StoredFloor | undefined,
): { readonly now: string; readonly clockBehind: boolean } {
  const now = clock.now().toISOString();
  return floor !== undefined && Date.parse(floor.createdAt) > Date.parse(now)
    ? { now: floor.createdAt, clockBehind: true }
    : { now, clockBehind: false };
}

const longAgo = '1970-01-01T00:00:00Z';

function newestCommitted(records: readonly JournalRecord[]): StoredFloor | undefined {
  let newest: StoredFloor | undefined;
  for (const record of records) {
    const { state, sequence, manifestDigest, operation, createdAt, downgradeFrom, generation } = record;
    // What was only tried out raises no floor.
    if (state !== 'committed' || (operation !== 'switch' && operation !== 'boot')) continue;
    // A bundle that was installed already has done nothing; it may be waiting for a restart, and not be committed at all.
    if (sequence === undefined || manifestDigest === undefined || generation === undefined) continue;
    const floor = typeof downgradeFrom === 'number' ? downgradeFrom : sequence;
    // Of two for the same floor the later is a downgrade from the earlier.
    if (newest !== undefined && newest.sequence > floor) continue;
    newest = {
      schema: 1,
      sequence: floor,
      manifestDigest,
      createdAt: typeof createdAt === 'string' ? createdAt : longAgo,
    };
  }
  return newest;
}

/** Where nobody knows which bundle had the sequence: no bundle of that sequence is taken. */
const unknownDigest: Floor['manifestDigest'] = '0'.repeat(64);

/**
 * Puts a lost floor back: to what the journal says, or to the operator’s word where that is higher.
 * @param sequence the newest that this machine has taken, as far as the operator knows
 * @throws NixmakerError `usage` where the floor is not lost, or nothing says what it was
 */
export async function adoptFloor(machine: Machine, sequence: number | undefined): Promise<StoredFloor> {
  if (machine.handsOver) throw new NixmakerError('usage', 'only root can adopt a floor');
  return withLock(machine, async () => {
    const { floor, committed, doubt } = await readKnownFloor(machine.floorDirectory);
    if (doubt === undefined) {
      const stands = floor === undefined ? 'no bundle was taken yet' : `it is ${floor.sequence}`;
      throw new NixmakerError('usage', `the floor is not lost: ${stands}`);
    }
    const known = committed?.sequence ?? 0;
    if (sequence === undefined && committed === undefined)
      throw new NixmakerError('usage', 'the journal does not say what it was: give --sequence');
    if (sequence !== undefined && sequence < known)
      throw new NixmakerError(
        'usage',
        `the journal says that sequence ${known} was taken: it can’t be lower`,
      );
    const adopted: StoredFloor =
      committed !== undefined && (sequence === undefined || sequence === known)
        ? committed
        : {
            schema: 1,
            sequence: sequence as number,
            manifestDigest: unknownDigest,
            createdAt: committed?.createdAt ?? longAgo,
          };
    await raiseFloor(machine.floorDirectory, adopted);
    machine.emit({ event: 'floor-adopted', level: 'warn', because: doubt, sequence: adopted.sequence });
    return adopted;
  });
}
