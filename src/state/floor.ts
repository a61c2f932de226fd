/**
 * The floor: the newest bundle committed here. Two checksummed copies, written one after the other, so that a power cut
 * harms one at most; the higher one counts. Never lowered.
 */
import { join } from 'node:path';
import * as z from 'zod';
import { sequence, timestamp } from '../core/schema.ts';
import { readChecksummed, withChecksum } from './checksummed.ts';
import { readIfThere, writeDurably } from './durable.ts';

const floor = z.strictObject({
  schema: z.literal(1),
  sequence,
  manifestDigest: z.string().regex(/^[0-9a-f]{64}$/),
  /** createdAt of that manifest: the newest signed time seen, a lower bound for the clock. */
  createdAt: timestamp,
});

export type StoredFloor = z.infer<typeof floor>;

const copies = ['floor.a', 'floor.b'];

/** What is there of the floor. */
export interface FloorReading {
  /** The higher of the copies that can be read. */
  readonly floor: StoredFloor | undefined;
  /** Copies that are there and can’t be read. */
  readonly damaged: number;
}

export async function readFloor(stateDirectory: string): Promise<FloorReading> {
  const texts = await Promise.all(copies.map((name) => readIfThere(join(stateDirectory, name))));
  const there = texts.filter((text) => text !== undefined);
  const readable = there.flatMap((text) => {
    const parsed = floor.safeParse(readChecksummed(text.trimEnd()));
    return parsed.success ? [parsed.data] : [];
  });
  const highest = readable.reduce<StoredFloor | undefined>(
    (a, b) => (a === undefined || b.sequence > a.sequence ? b : a),
    undefined,
  );
  return { floor: highest, damaged: there.length - readable.length };
}

export async function raiseFloor(stateDirectory: string, next: StoredFloor): Promise<void> {
  const { floor: current } = await readFloor(stateDirectory);
  if (current !== undefined && next.sequence < current.sequence) return;
  // A time that was signed once has been, also where an older commit is installed under a newer sequence.
  const createdAt =
    current !== undefined && Date.parse(current.createdAt) > Date.parse(next.createdAt)
      ? current.createdAt
      : next.createdAt;
  for (const name of copies)
    await writeDurably(join(stateDirectory, name), withChecksum({ ...next, createdAt }));
}
