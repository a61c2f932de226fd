/** The floor with all that is known of it. */

import { believedTime, doubtFloor } from '../../core/run/floor.ts';
import { floorOf, signedTimeOf } from '../../core/run/journal.ts';
import { readFloor, type StoredFloor } from '../../state/floor.ts';
import { type JournalRecord, readJournal } from '../../state/journal.ts';
import type { Machine } from './machine.ts';

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

/** What time it is, as far as this machine can know. */
export function timeFloor(
  { clock }: Pick<Machine, 'clock'>,
  floor: StoredFloor | undefined,
): { readonly now: string; readonly clockBehind: boolean } {
  return believedTime(clock.now(), floor?.createdAt);
}

export const longAgo = '1970-01-01T00:00:00Z';

/** Its signed time is the newest of all that was committed: that of a later bundle may be older. */
function newestCommitted(records: readonly JournalRecord[]): StoredFloor | undefined {
  let newest: StoredFloor | undefined;
  let createdAt = longAgo;
  for (const record of records) {
    const sequence = floorOf(record);
    const { manifestDigest } = record;
    if (sequence === undefined || manifestDigest === undefined) continue;
    if ((signedTimeOf(record) ?? 0) > Date.parse(createdAt)) createdAt = String(record.createdAt);
    // Of two for the same floor the later is a downgrade from the earlier.
    if (newest !== undefined && newest.sequence > sequence) continue;
    newest = { schema: 1, sequence, manifestDigest, createdAt };
  }
  return newest === undefined ? undefined : { ...newest, createdAt };
}
