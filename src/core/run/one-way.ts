/** Releases from which there is no way back, and whether a person’s way leads back past one. Pure. */
import type { JournalRecord } from './journal.ts';

/** Where a person wants to go back to. */
export interface WayBack {
  /** Generations of the system profile: where to, and the present one. */
  readonly to: number;
  readonly from: number;
  /** The system of the present one. */
  readonly installed: string | undefined;
  /** The release gone back to; undefined if none is known. */
  readonly sequence: number | undefined;
}

export interface OneWay {
  readonly sequence: number | undefined;
  readonly reason: string;
}

/** Those that ran on this machine and that the way leads back past, oldest first. @param last of each run */
export function oneWayPassed(last: readonly JournalRecord[], way: WayBack): OneWay[] {
  return last.flatMap((record) => {
    const { noWayBack: reason, sequence } = record;
    if (typeof reason !== 'string' || !stayed(record) || !isAtOrBefore(record, way)) return [];
    return isGoneBackPast(record, way) ? [{ sequence, reason }] : [];
  });
}

/** One that is only waiting for a restart has changed no data. */
const stayed = ({ state, code }: JournalRecord): boolean =>
  state === 'committed' || (state === 'failed' && code === 'left-unwell');

const generationOf = ({ generation }: JournalRecord): number | undefined =>
  typeof generation === 'number' ? generation : undefined;

function isAtOrBefore(record: JournalRecord, { from, installed }: WayBack): boolean {
  const generation = generationOf(record);
  return record.toplevel === installed || (generation !== undefined && generation <= from);
}

/** A generation may be made anew for an older system: then the releases tell. What neither tells counts as past it. */
function isGoneBackPast(record: JournalRecord, { to, sequence }: WayBack): boolean {
  const generation = generationOf(record);
  if (generation !== undefined && to < generation) return true;
  if (sequence !== undefined && record.sequence !== undefined) return sequence < record.sequence;
  return generation === undefined;
}

/** For people. */
export const oneWayText = (passed: readonly OneWay[]): string =>
  passed
    .map(
      ({ sequence, reason }) =>
        `${sequence === undefined ? 'a release' : `release ${sequence}`} is one-way: ${reason}`,
    )
    .join('; ');
