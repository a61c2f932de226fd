/** The releases that are held: root’s own word, in two copies like the floor. The newer of the two counts. */
import { type HeldRelease, mostHeld } from '../core/policy/held.ts';
import { sequence } from '../core/schema.ts';
import * as z from '../core/zod.ts';
import { anySchema } from './stored.ts';
import { readCopies, writeCopies } from './two-copies.ts';

const stored = z.looseObject({
  schema: anySchema,
  /** Grows with every change: which of two copies is newer does not depend on a clock. */
  number: z.int().check(z.gte(0)),
  releases: z
    .array(
      z.looseObject({
        sequence,
        floor: z.int().check(z.gte(0)),
        since: z.string().check(z.maxLength(64)),
        because: z.string().check(z.maxLength(1000)),
      }),
    )
    .check(z.maxLength(mostHeld)),
});

export interface StoredHeld {
  readonly number: number;
  readonly releases: readonly HeldRelease[];
  /** Copies exist, but none can be read: the list of held releases is unknown. */
  readonly isDamaged: boolean;
}

export async function readHeldFile(folder: string): Promise<StoredHeld> {
  const { readable, damaged } = await readCopies(folder, 'held', stored);
  const newest = readable.toSorted((a, b) => b.number - a.number)[0];
  return {
    number: newest?.number ?? 0,
    releases: newest?.releases ?? [],
    isDamaged: newest === undefined && damaged > 0,
  };
}

export async function writeHeldFile(
  folder: string,
  { number, releases }: Pick<StoredHeld, 'number' | 'releases'>,
): Promise<void> {
  await writeCopies(folder, 'held', { schema: 1, number, releases });
}
