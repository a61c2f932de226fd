/**
 * Whether the floor can be right. It is kept twice, the journal beside it names every committed bundle, and a record of it
 * is kept beside the system profile: a floor that is missing, or lower than either, was lost, or reset by restoring a backup. The record is
 * for machines that lose floor and journal together, such as those with their root file system in memory: generations outlast that.
 */
import type { Facts, Floor } from '../policy/decide.ts';
import type { FirstStart } from '../policy/policy.ts';

export interface FloorEvidence {
  readonly floor: Floor | undefined;
  /** Copies of the floor that exist but can’t be read. */
  readonly damaged: number;
  /** The newest bundle that was committed, according to the journal. */
  readonly committed: Floor | undefined;
  /** What the record beside the system profile says. */
  readonly recorded?: Floor | undefined;
  /** The newest generation’s number; 0 if there is none. Numbers only rise, even when older generations are deleted. */
  readonly newestGeneration?: number | undefined;
  /** The journal knows of a bundle that changed this machine: it has not forgotten. */
  readonly hasBegun?: boolean | undefined;
  /** The policy’s; undefined if unknown. */
  readonly firstStart?: FirstStart | undefined;
}

/** @returns why the floor can’t be trusted; undefined if it can, as on a machine that has taken nothing yet */
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

/** An installer leaves one generation. */
function doubtByGenerations(evidence: FloorEvidence): string | undefined {
  const { floor, newestGeneration = 0, hasBegun = false, firstStart } = evidence;
  if (floor !== undefined || firstStart !== 'one-generation' || hasBegun || newestGeneration <= 1)
    return undefined;
  return `there is no record of any bundle, but generation ${newestGeneration} exists; the policy counts a machine as new only while it has one generation (\`firstStart\`)`;
}

/** No earlier clock is right, even if nothing signed has been seen yet: nixmaker itself is younger. */
const madeAfter = '2026-01-01T00:00:00Z';

/** The time floor. @param newestSigned RFC 3339, like all of these */
export function timeFloorOf(newestSigned: string | undefined): string {
  return newestSigned !== undefined && Date.parse(newestSigned) > Date.parse(madeAfter)
    ? newestSigned
    : madeAfter;
}

/** A clock before the time floor is wrong; the floor is the better guess. */
export function believedTime(
  clock: Date,
  newestSigned: string | undefined,
): Pick<Facts, 'now' | 'clockBehind'> {
  const floor = timeFloorOf(newestSigned);
  return clock.getTime() < Date.parse(floor)
    ? { now: floor, clockBehind: true }
    : { now: clock.toISOString(), clockBehind: false };
}
