/** A release that comes on several media, as far as it is here. Written by the agent; for people, and to tell which set is the newer one. */

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { limits } from '../core/limits.ts';
import { mostParts } from '../core/release/parts.ts';
import { hostName } from '../core/schema.ts';
import * as z from '../core/zod.ts';
import { readForeign } from '../files/foreign.ts';
import { writeDurably } from './durable.ts';

const count = z.int().check(z.gte(0), z.lte(Number.MAX_SAFE_INTEGER));
const part = z.int().check(z.gte(1), z.lte(mostParts));

const collected = z.strictObject({
  schema: z.literal(1),
  host: hostName,
  sequence: count,
  manifestDigest: z.string().check(z.maxLength(64)),
  of: part,
  /** Ascending. */
  needed: z.array(part).check(z.maxLength(mostParts)),
  /** Store paths of the release that are here, and all of them. */
  here: count,
  paths: count,
  /** When the last part came. RFC 3339. */
  at: z.string().check(z.maxLength(64)),
});

export type CollectedParts = z.infer<typeof collected>;

const fileName = 'parts.json';

export const partsFile = (stateDirectory: string): string => join(stateDirectory, fileName);

export const writeParts = (stateDirectory: string, value: Omit<CollectedParts, 'schema'>): Promise<void> =>
  writeDurably(partsFile(stateDirectory), `${JSON.stringify({ schema: 1, ...value })}\n`);

/** Undefined if none is being collected, or the file is not one of these. */
export async function readParts(stateDirectory: string): Promise<CollectedParts | undefined> {
  try {
    const bytes = await readForeign(stateDirectory, fileName, limits.partsBytes);
    return collected.safeParse(JSON.parse(bytes?.toString('utf8') ?? '')).data;
  } catch {
    return undefined;
  }
}

export const removeParts = (stateDirectory: string): Promise<void> =>
  rm(partsFile(stateDirectory), { force: true });
