/**
 * Whether the floor can be what it was. It is kept twice, the journal beside it names every bundle that was committed, and a record of it
 * lies beside the system profile: a floor that is not there, or lower than either, has been lost, or set back with a backup. The record is
 * for machines that lose floor and journal together, as those whose root file system is in memory: generations outlast that.
 */
import type { Facts, Floor } from '../policy/decide.ts';
import type { FirstStart } from '../policy/policy.ts';

export interface FloorEvidence {
  readonly floor: Floor | undefined;
  /** Copies of the floor that are there and can’t be read. */
  readonly damaged: number;
  /** The newest bundle that the journal says was committed. */
  readonly committed: Floor | undefined;
  /** What the record beside the system profile says. */
  readonly recorded?: Floor | undefined;
  /** The number of the newest generation; 0 where there is none. Numbers only rise, also where older generations are gone. */
  readonly newestGeneration?: number | undefined;
  /** Some bundle has changed this machine, which the journal knows: it is none that has forgotten. */
  readonly hasBegun?: boolean | undefined;
  /** The policy’s; undefined where nobody can say. */
  readonly firstStart?: FirstStart | undefined;
}

/** @returns why the floor can’t be believed; undefined where it can, as on a machine that has taken nothing yet */
export function doubtFloor(evidence: FloorEvidence): string | undefined {
  return doubtByJournal(evidence) ?? doubtByRecord(evidence) ?? doubtByGenerations(evidence);
}

function doubtByJournal({ floor, damaged, committed }: FloorEvidence): string | undefined {
  const taken = committed === undefined ? 'no bundle' : `sequence ${committed.sequence}`;
  const known = `the journal says ${taken} was taken`;
  if (floor === undefined && damaged > 0) return `both copies of the floor are damaged, and ${known}`;
  if (committed === undefined) return undefined;
  if (floor === undefined) return `the floor is missing, but ${known}`;
  return floor.sequence < committed.sequence ? `the floor is ${floor.sequence}, but ${known}` : undefined;
}

function doubtByRecord({ floor, recorded }: FloorEvidence): string | undefined {
  if (recorded === undefined) return undefined;
  const known = `the record beside the system profile says sequence ${recorded.sequence} was taken`;
  if (floor === undefined) return `the floor is missing, but ${known}`;
  return floor.sequence < recorded.sequence ? `the floor is ${floor.sequence}, but ${known}` : undefined;
}

/** What an installer leaves is one generation. */
function doubtByGenerations(evidence: FloorEvidence): string | undefined {
  const { floor, newestGeneration = 0, hasBegun = false, firstStart } = evidence;
  if (floor !== undefined || firstStart !== 'one-generation' || hasBegun || newestGeneration <= 1)
    return undefined;
  return `there is no record of any bundle, but generation ${newestGeneration} exists; the policy counts a machine as new only while it has one generation (\`firstStart\`)`;
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
