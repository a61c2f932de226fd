/** Requests to root that failed verification: only a count, however many, beside root’s journal. */
import { join } from 'node:path';
import * as z from '../core/zod.ts';
import { readIfThere } from '../files/read.ts';
import { withChecksum } from './checksummed.ts';
import { writeDurably } from './durable.ts';
import { anySchema } from './stored.ts';
import { readChecked } from './two-copies.ts';

const unverified = z.looseObject({
  schema: anySchema,
  count: z.int().check(z.gte(0)),
  /** Of the last one. */
  at: z.string(),
  code: z.string(),
});

export type Unverified = z.infer<typeof unverified>;

const fileIn = (folder: string) => join(folder, 'requests-unverified');

/** Undefined if there was none, or the count was damaged: it then starts over. */
export async function readUnverified(folder: string): Promise<Unverified | undefined> {
  const text = await readIfThere(fileIn(folder));
  return text === undefined ? undefined : readChecked(text, unverified);
}

export async function countUnverified(folder: string, last: Pick<Unverified, 'at' | 'code'>): Promise<void> {
  const count = ((await readUnverified(folder))?.count ?? 0) + 1;
  await writeDurably(fileIn(folder), withChecksum({ schema: 1, count, ...last }));
}
