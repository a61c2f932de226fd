/**
 * Whether the floor can be what it was. It is kept twice, and the journal beside it names every bundle that was
 * committed: a floor that is not there, or lower than the journal, has been lost, or set back with a backup.
 */
import type { Facts, Floor } from '../policy/decide.ts';

export interface FloorEvidence {
  readonly floor: Floor | undefined;
  /** Copies of the floor that are there and can’t be read. */
  readonly damaged: number;
  /** The newest bundle that the journal says was committed. */
  readonly committed: Floor | undefined;
}

/** @returns why the floor can’t be believed; undefined where it can, as on a machine that has taken nothing yet */
export function doubtFloor({ floor, damaged, committed }: FloorEvidence): string | undefined {
  const taken = committed === undefined ? 'no bundle' : `sequence ${committed.sequence}`;
  const known = `the journal says that ${taken} was taken`;
  if (floor === undefined && damaged > 0) return `both copies of the floor are damaged, and ${known}`;
  if (committed === undefined) return undefined;
  if (floor === undefined) return `the floor is gone, and ${known}`;
  return floor.sequence < committed.sequence ? `the floor is ${floor.sequence}, and ${known}` : undefined;
}

/** No clock before that is right, also where nothing signed was seen yet: nixmaker itself is younger. */
const madeAfter = '2026-01-01T00:00:00Z';

/** The time floor. @param newestSigned RFC 3339, as all of these */
export function timeFloorOf(newestSigned: string | undefined): string {
  return newestSigned !== undefined && Date.parse(newestSigned) > Date.parse(madeAfter)
    ? newestSigned
    : madeAfter;
}

/** A clock that stands before the time floor is wrong; that time is the better guess. */
export function believedTime(
  clock: Date,
  newestSigned: string | undefined,
): Pick<Facts, 'now' | 'clockBehind'> {
  const floor = timeFloorOf(newestSigned);
  return clock.getTime() < Date.parse(floor)
    ? { now: floor, clockBehind: true }
    : { now: clock.toISOString(), clockBehind: false };
}
