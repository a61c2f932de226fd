/**
 * The release that is in the store and waits for its time: what was signed, and what it waits for. In root’s own folder, one folder for
 * each manifest’s digest. Which of them counts is for root’s journal to say; what is left of others is removed (target/root/staged.ts).
 */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isMissing } from '../core/errno.ts';
import { NixmakerError } from '../core/errors.ts';
import * as z from '../core/zod.ts';
import { syncFolder } from '../files/folder.ts';
import { namesIn } from '../files/read.ts';
import { writeDurably } from './durable.ts';
import { asOurFault, readOwn } from './own.ts';
import { anySchema } from './stored.ts';

const record = z.looseObject({
  schema: anySchema,
  transaction: z.string().check(z.maxLength(64)),
  /** The bundle’s name, for people. Untrusted. */
  source: z.string().check(z.maxLength(4096)),
  /** What it waits for, as found when it was last looked at. */
  code: z.string().check(z.maxLength(64)),
  detail: z.string(),
  at: z.string().check(z.maxLength(64)),
  /** How often its installation was cut off or put back for something that passes. */
  times: z.int().check(z.gte(0)),
  /** The request that was answered last. */
  answered: z.optional(z.string().check(z.maxLength(64))),
});

export type StagedRecord = z.infer<typeof record>;

/** As they were signed. */
export interface StagedFiles {
  readonly manifest: Buffer;
  readonly signatures: Buffer;
  readonly index: Buffer;
}

const stagedFolder = (floorDirectory: string) => join(floorDirectory, 'staged');
const folderOf = (floorDirectory: string, digest: string) => join(stagedFolder(floorDirectory), digest);
const recordFile = (floorDirectory: string, digest: string) =>
  join(folderOf(floorDirectory, digest), 'record.json');

/** Digests of the manifests that lie there. */
export async function listStaged(floorDirectory: string): Promise<string[]> {
  return (await namesIn(stagedFolder(floorDirectory))).filter((name) => /^[0-9a-f]{64}$/.test(name));
}

/** The record comes last: with it, everything is there. */
export async function writeStaged(
  floorDirectory: string,
  digest: string,
  { record, ...files }: StagedFiles & { readonly record: StagedRecord },
): Promise<void> {
  const folder = folderOf(floorDirectory, digest);
  for (const [name, bytes] of Object.entries(files)) await writeDurably(join(folder, name), bytes);
  await writeStagedRecord(floorDirectory, digest, record);
}

export const writeStagedRecord = (
  floorDirectory: string,
  digest: string,
  value: StagedRecord,
): Promise<void> => writeDurably(recordFile(floorDirectory, digest), JSON.stringify(value));

/** Undefined if there is none, or it is damaged: what was signed does not depend on it. */
export async function readStagedRecord(
  floorDirectory: string,
  digest: string,
): Promise<StagedRecord | undefined> {
  const text = await readOwn(recordFile(floorDirectory, digest));
  try {
    return record.parse(JSON.parse(text ?? ''));
  } catch {
    return undefined;
  }
}

/** @throws NixmakerError `staged-lost` if one is missing, `state-unreadable` */
export async function readStagedFile(
  floorDirectory: string,
  digest: string,
  name: keyof StagedFiles,
): Promise<Buffer> {
  const path = join(folderOf(floorDirectory, digest), name);
  return readFile(path).catch((error: unknown) => {
    if (isMissing(error)) throw new NixmakerError('staged-lost', `${path} is missing`);
    return asOurFault(error);
  });
}

export async function removeStaged(floorDirectory: string, digest: string): Promise<void> {
  await rm(folderOf(floorDirectory, digest), { recursive: true, force: true });
  await syncFolder(stagedFolder(floorDirectory));
}
