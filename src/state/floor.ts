/** The floor: the newest bundle committed here. The higher of its two copies counts. Never lowered, except its time, and only by hand. */
import { sequence, timestamp } from '../core/schema.ts';
import * as z from '../core/zod.ts';
import { withChecksum } from './checksummed.ts';
import { writeDurably } from './durable.ts';
import { readOwn } from './own.ts';
import { anySchema } from './stored.ts';
import { readChecked, readCopies, writeCopies } from './two-copies.ts';

const floor = z.looseObject({
  schema: anySchema,
  sequence,
  manifestDigest: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
  /** createdAt of that manifest: the newest signed time seen, a lower bound for the clock. */
  createdAt: timestamp,
});

export type StoredFloor = Pick<z.infer<typeof floor>, 'schema' | 'sequence' | 'manifestDigest' | 'createdAt'>;

/** What there is of the floor. */
export interface FloorReading {
  /** The higher of the readable copies. */
  readonly floor: StoredFloor | undefined;
  /** Copies that exist but can’t be read. */
  readonly damaged: number;
}

export async function readFloor(stateDirectory: string): Promise<FloorReading> {
  const { readable, damaged } = await readCopies(stateDirectory, 'floor', floor);
  const highest = readable.reduce<StoredFloor | undefined>(
    (a, b) => (a === undefined || b.sequence > a.sequence ? b : a),
    undefined,
  );
  return { floor: highest, damaged };
}

export async function raiseFloor(stateDirectory: string, next: StoredFloor): Promise<void> {
  const { floor: current } = await readFloor(stateDirectory);
  if (current !== undefined && next.sequence < current.sequence) return;
  // A time that was signed once stays seen, even if an older commit is installed under a newer sequence.
  const createdAt =
    current !== undefined && Date.parse(current.createdAt) > Date.parse(next.createdAt)
      ? current.createdAt
      : next.createdAt;
  await writeCopies(stateDirectory, 'floor', { ...next, schema: 1, createdAt });
}

/** Beside the profile’s links, so that it lasts as long as they do. */
export const recordPath = (profile: string): string => `${profile}.floor`;

/** The floor as recorded beside the system profile. An unreadable record counts as damaged. */
export async function readFloorRecord(profile: string): Promise<FloorReading> {
  const text = await readOwn(recordPath(profile));
  const floor_ = text === undefined ? undefined : readChecked(text, floor);
  return { floor: floor_, damaged: text !== undefined && floor_ === undefined ? 1 : 0 };
}

/** As kept in the state folder. It only ever rises. */
export async function recordFloor(profile: string, next: StoredFloor): Promise<void> {
  const { floor: recorded } = await readFloorRecord(profile);
  if (recorded !== undefined && recorded.sequence > next.sequence) return;
  await writeDurably(recordPath(profile), withChecksum({ ...next, schema: 1 }));
}

/** Only on an operator’s word: the newest signed time seen was wrong. What was taken stays as it is. */
export async function setSignedTime(
  stateDirectory: string,
  floor: StoredFloor,
  createdAt: string,
): Promise<StoredFloor> {
  const corrected = { ...floor, schema: 1, createdAt };
  await writeCopies(stateDirectory, 'floor', corrected);
  return corrected;
}
