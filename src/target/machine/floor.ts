/** The floor, with everything known about it. */

import { messageOf } from '../../core/errors.ts';
import type { Policy } from '../../core/policy/policy.ts';
import type { Settings } from '../../core/policy/settings.ts';
import { believedTime, doubtFloor } from '../../core/run/floor.ts';
import { floorOf, signedTimeOf } from '../../core/run/journal.ts';
import { hasBegunToChange } from '../../core/run/lifecycle.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import { newestGeneration } from '../../nix/profile.ts';
import { raiseFloor, readFloor, readFloorRecord, recordFloor, type StoredFloor } from '../../state/floor.ts';
import { type JournalRecord, readJournal } from '../../state/journal.ts';
import type { Machine } from './machine.ts';

export interface KnownFloor {
  /** The journal beside it. */
  readonly records: readonly JournalRecord[];
  readonly floor: StoredFloor | undefined;
  /** Why it can’t be trusted. */
  readonly doubt: string | undefined;
  /** The newest bundle committed according to the journal or the record beside the system profile. */
  readonly committed: StoredFloor | undefined;
}

/** Where the floor is kept, and what else says something about it. */
export interface FloorSource {
  readonly floorDirectory: string;
  readonly settings: Pick<Settings, 'profile'>;
  /** Omitted if the policy can’t be read; it is then not consulted. */
  readonly policy?: Pick<Policy, 'firstStart'> | undefined;
}

export async function readKnownFloor({ floorDirectory, settings, policy }: FloorSource): Promise<KnownFloor> {
  const { profile } = settings;
  // The floor is written before the journal line and the record, so it is read after both: if it changes in between, it can only be higher.
  const record = await readFloorRecord(profile);
  const { records } = await readJournal(floorDirectory);
  const reading = await readFloor(floorDirectory);
  const committed = newestCommitted(records);
  const doubt = doubtFloor({
    floor: reading.floor,
    damaged: reading.damaged + record.damaged,
    committed,
    recorded: record.floor,
    newestGeneration: await newestGeneration(profile),
    hasBegun: records.some((r) => r.sequence !== undefined && hasBegunToChange(r.state)),
    firstStart: policy?.firstStart,
  });
  return { records, floor: reading.floor, committed: higherOf(committed, record.floor), doubt };
}

function higherOf(a: StoredFloor | undefined, b: StoredFloor | undefined): StoredFloor | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return b.sequence > a.sequence ? b : a;
}

type FloorKeeper = Pick<FloorSource, 'floorDirectory' | 'settings'> & Pick<Machine, 'emit'>;

/**
 * First in the state folder, then beside the profile: a cut between the two leaves a record that is lower, which does no harm. A record
 * that can’t be written (a full disk) is reported but ends no run: the floor itself holds, and the next commit records it.
 */
export async function raiseKnownFloor(
  { floorDirectory, settings, emit }: FloorKeeper,
  next: StoredFloor,
): Promise<void> {
  await raiseFloor(floorDirectory, next);
  const { floor } = await readFloor(floorDirectory);
  try {
    await recordFloor(settings.profile, floor ?? next);
  } catch (error) {
    emit({ event: 'floor-not-recorded', level: 'warn', detail: messageOf(error) });
  }
}

/** Raises it to the release of a run that stays, if the run has one. */
export async function raiseFloorFor(
  machine: FloorKeeper,
  known: Pick<Receipt, 'sequence' | 'downgradeFrom' | 'manifestDigest'> & { readonly createdAt?: string },
): Promise<void> {
  const { sequence, downgradeFrom, manifestDigest, createdAt } = known;
  if (sequence === undefined || manifestDigest === undefined || createdAt === undefined) return;
  // After a downgrade the floor stays and names what is there now: the system that was left can’t come back.
  await raiseKnownFloor(machine, {
    ...{ schema: 1, sequence: downgradeFrom ?? sequence, manifestDigest, createdAt },
  });
}

/** What time it is, as far as this machine can know. */
export function timeFloor(
  { clock }: Pick<Machine, 'clock'>,
  floor: StoredFloor | undefined,
): { readonly now: string; readonly clockBehind: boolean } {
  return believedTime(clock.now(), floor?.createdAt);
}

export const longAgo = '1970-01-01T00:00:00Z';

/** Its signed time is the newest ever committed: a later bundle may carry an earlier time. */
function newestCommitted(records: readonly JournalRecord[]): StoredFloor | undefined {
  let newest: StoredFloor | undefined;
  let createdAt = longAgo;
  for (const record of records) {
    const sequence = floorOf(record);
    const { manifestDigest } = record;
    if (sequence === undefined || manifestDigest === undefined) continue;
    if ((signedTimeOf(record) ?? 0) > Date.parse(createdAt)) createdAt = String(record.createdAt);
    // Of two with the same floor, the later is a downgrade from the earlier.
    if (newest !== undefined && newest.sequence > sequence) continue;
    newest = { schema: 1, sequence, manifestDigest, createdAt };
  }
  return newest === undefined ? undefined : { ...newest, createdAt };
}
