/**
 * The floor: the newest bundle committed here. Two sealed copies, written one after the other, so that a power cut
 * harms one at most; the higher one counts. Never lowered.
 */
import { join } from 'node:path';
import { z } from 'zod';
import { NixmakerError } from '../core/errors.ts';
import { sequence, timestamp } from '../core/schema.ts';
import { seal, unseal } from './checksummed.ts';
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

/** @throws NixmakerError `state-corrupt` where copies are there and none can be read */
export async function readFloor(stateDirectory: string): Promise<StoredFloor | undefined> {
  const texts = await Promise.all(copies.map((name) => readIfThere(join(stateDirectory, name))));
  const there = texts.filter((text) => text !== undefined);
  const readable = there.flatMap((text) => {
    const parsed = floor.safeParse(unseal(text.trimEnd()));
    return parsed.success ? [parsed.data] : [];
  });
  if (there.length > 0 && readable.length === 0) {
    throw new NixmakerError('state-corrupt', `both copies of the floor in ${stateDirectory} are damaged`);
  }
  return readable.reduce<StoredFloor | undefined>(
    (a, b) => (a === undefined || b.sequence > a.sequence ? b : a),
    undefined,
  );
}

export async function raiseFloor(stateDirectory: string, next: StoredFloor): Promise<void> {
  const current = await readFloor(stateDirectory);
  if (current !== undefined && next.sequence < current.sequence) return;
  for (const name of copies) await writeDurably(join(stateDirectory, name), seal(next));
}
