/** The release that is in the store and waits for its time, according to root’s journal. */
import { NixmakerError } from '../../core/errors.ts';
import type { StagedRelease } from '../../core/policy/stage.ts';
import type { JournalRecord } from '../../core/run/journal.ts';
import { manifestDigest, type VerifiedManifest, verifyManifest } from '../../signing/verify.ts';
import { lastOfEach, readJournal } from '../../state/journal.ts';
import { readStagedFile, readStagedRecord, type StagedRecord } from '../../state/staged.ts';
import type { Machine } from './machine.ts';
import type { SignedHead } from './root.ts';

/** Oldest first: the last counts, the others are about to be superseded. */
export const allStaged = (records: readonly JournalRecord[]): JournalRecord[] =>
  lastOfEach(records).filter((r) => r.state === 'staged' && r.manifestDigest !== undefined);

export const findStaged = (records: readonly JournalRecord[]): JournalRecord | undefined =>
  allStaged(records).at(-1);

/** In the form the decision expects. */
export function stagedRelease(records: readonly JournalRecord[]): StagedRelease | undefined {
  const found = findStaged(records);
  if (found?.sequence === undefined || found.manifestDigest === undefined) return undefined;
  const { sequence, manifestDigest, at, createdAt } = found;
  // Staged before it was made: by a clock that was behind, which would make it look too old one day.
  const since = typeof createdAt === 'string' && Date.parse(createdAt) > Date.parse(at) ? createdAt : at;
  return { sequence, manifestDigest, since };
}

export interface Staged extends StagedRelease {
  readonly transaction: string;
  /** What it waits for; undefined if the record of that is damaged. */
  readonly record: StagedRecord | undefined;
}

export async function readStaged({
  floorDirectory,
}: Pick<Machine, 'floorDirectory'>): Promise<Staged | undefined> {
  const { records } = await readJournal(floorDirectory);
  const [run, release] = [findStaged(records), stagedRelease(records)];
  if (run === undefined || release === undefined) return undefined;
  const { transaction } = run;
  return {
    ...release,
    transaction,
    record: await readStagedRecord(floorDirectory, release.manifestDigest),
  };
}

/**
 * Verified as if it had just come, with the keys that are trusted now.
 * @throws NixmakerError `staged-lost` if it is not what was staged; as `verifyManifest`
 */
export async function readStagedHead(
  { floorDirectory, trust }: Pick<Machine, 'floorDirectory' | 'trust'>,
  digest: string,
): Promise<{ readonly verified: VerifiedManifest; readonly head: SignedHead }> {
  const manifestBytes = await readStagedFile(floorDirectory, digest, 'manifest');
  if (manifestDigest(manifestBytes) !== digest)
    throw new NixmakerError('staged-lost', 'its manifest is damaged');
  const signatureBytes = await readStagedFile(floorDirectory, digest, 'signatures');
  const verified = verifyManifest(manifestBytes, signatureBytes, trust);
  return { verified, head: { manifestBytes, signatureBytes } };
}
