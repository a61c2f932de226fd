/** The return of a floor that was lost, or of its time, by an operator’s word. */
import { NixmakerError } from '../../core/errors.ts';
import type { Floor } from '../../core/policy/decide.ts';
import { recordFloor, type StoredFloor, setSignedTime } from '../../state/floor.ts';
import { longAgo, raiseKnownFloor, readKnownFloor } from '../machine/floor.ts';
import type { RootMachine } from '../machine/machine.ts';
import { withLock } from '../machine/with-lock.ts';

/** Where nobody knows which bundle had the sequence: no bundle of that sequence is taken. */
const unknownDigest: Floor['manifestDigest'] = '0'.repeat(64);

/**
 * Puts a lost floor back: to what the journal or the record beside the profile says, or to the operator’s word where that is higher.
 * @param sequence the newest that this machine has taken, as far as the operator knows
 * @throws NixmakerError `usage` where the floor is not lost, or nothing says what it was
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
 * Brings the newest signed time seen back, where a bundle was taken whose signed time was wrong. The sequence stays.
 * @param time RFC 3339, UTC
 * @throws NixmakerError `usage` where there is no floor, or the time is not before the one that it has
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
    // Or it would come back with the record, should the state be lost.
    await recordFloor(machine.settings.profile, corrected);
    machine.emit({ event: 'time-adopted', level: 'warn', from: createdAt, to: time });
    return corrected;
  });
}
