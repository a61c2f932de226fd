/** Restoring a lost floor, or its time, on an operator’s word. */
import { NixmakerError } from '../../core/errors.ts';
import type { Floor } from '../../core/policy/decide.ts';
import { recordFloor, type StoredFloor, setSignedTime } from '../../state/floor.ts';
import { longAgo, raiseKnownFloor, readKnownFloor } from '../machine/floor.ts';
import type { RootMachine } from '../machine/machine.ts';
import { withLock } from '../machine/with-lock.ts';

/** Used if nobody knows which bundle had the sequence: no bundle with that sequence is taken. */
const unknownDigest: Floor['manifestDigest'] = '0'.repeat(64);

/**
 * Restores a lost floor: to what the journal or the record beside the profile says, or to the operator’s number if that is higher.
 * @param sequence the newest that this machine has taken, as far as the operator knows
 * @throws NixmakerError `usage` if the floor is not lost, or nothing says what it was
 */
export async function adoptFloor(machine: RootMachine, sequence: number | undefined): Promise<StoredFloor> {
  return withLock(machine, async () => {
    const { floor, committed, doubt } = await readKnownFloor(machine);
    if (doubt === undefined) {
      const stands = floor === undefined ? 'no bundle was taken yet' : `it is ${floor.sequence}`;
      throw new NixmakerError('usage', `the floor is not lost: ${stands}`);
    }
    const known = committed?.sequence ?? 0;
    if (sequence === undefined && committed === undefined)
      throw new NixmakerError('usage', 'nothing on this machine shows what it was; pass --sequence');
    if (sequence !== undefined && sequence < known)
      throw new NixmakerError(
        'usage',
        `this machine knows it took sequence ${known}; the floor cannot be lower`,
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
    await raiseKnownFloor(machine, adopted);
    machine.emit({ event: 'floor-adopted', level: 'warn', because: doubt, sequence: adopted.sequence });
    return adopted;
  });
}

/**
 * Sets the newest signed time seen back, after a bundle with a wrong signed time was taken. The sequence stays.
 * @param time RFC 3339, UTC
 * @throws NixmakerError `usage` if there is no floor, or the time is not earlier than its own
 */
export async function adoptTime(machine: RootMachine, time: string): Promise<StoredFloor> {
  return withLock(machine, async () => {
    const { floor, doubt } = await readKnownFloor(machine);
    if (doubt !== undefined)
      throw new NixmakerError('usage', `the floor is lost; adopt it first, without --time: ${doubt}`);
    if (floor === undefined)
      throw new NixmakerError('usage', 'no bundle was taken yet, so no signed time was seen');
    const { createdAt } = floor;
    if (Date.parse(time) >= Date.parse(createdAt))
      throw new NixmakerError(
        'usage',
        `the newest signed time seen is ${createdAt}; it can only be moved back`,
      );
    const corrected = await setSignedTime(machine.floorDirectory, floor, time);
    // Otherwise the wrong time would return with the record if the state were lost.
    await recordFloor(machine.settings.profile, corrected);
    machine.emit({ event: 'time-adopted', level: 'warn', from: createdAt, to: time });
    return corrected;
  });
}
