/** What lies on a medium, as it says of itself: for `inspect FOLDER`, at the desk or at a machine without a policy. */
import { lstat } from 'node:fs/promises';
import { relative } from 'node:path';
import pLimit from 'p-limit';
import { readHeadFiles } from '../../bundle/head-files.ts';
import { listPool } from '../../bundle/pool.ts';
import { NixmakerError, type ReasonCode } from '../../core/errors.ts';
import type { Manifest } from '../../core/release/manifest.ts';
import { listInbox } from '../../media/inbox.ts';
import { readManifest } from '../../signing/verify.ts';
import { claimedSigners, inspectBundleFile } from '../keys/verify.ts';

export interface MediumRow {
  readonly file: string;
  /** Of the file. What a pool's entry shares with others is nobody's. */
  readonly bytes: number | undefined;
  readonly host: string | undefined;
  readonly sequence: number | undefined;
  readonly createdAt: string | undefined;
  /** Names the signatures claim; nothing was checked. */
  readonly claimedSigners: readonly string[];
  /** Why it is no bundle. */
  readonly problem: ReasonCode | undefined;
}

export async function inspectMedium(folder: string): Promise<MediumRow[]> {
  const rows: MediumRow[] = [];
  const atOnce = pLimit(8);
  rows.push(
    ...(await atOnce.map(await listPool(folder), (entry) =>
      rowOf(relative(folder, entry.folder), () => readEntry(entry.folder)),
    )),
  );
  for (const { path } of await listInbox(folder)) {
    const { size: bytes } = await lstat(path);
    rows.push(await rowOf(relative(folder, path), () => inspectBundleFile(path), bytes));
  }
  return rows;
}

interface Found {
  readonly manifest: Pick<Manifest, 'host' | 'sequence' | 'createdAt'>;
  readonly claimedSigners: readonly string[];
}

async function readEntry(folder: string): Promise<Found> {
  const head = await readHeadFiles(folder);
  if (head === undefined) throw new NixmakerError('bundle-truncated', 'manifest or signatures are not there');
  return {
    manifest: readManifest(head.manifestBytes),
    claimedSigners: claimedSigners(head.signatureBytes).claimedSigners,
  };
}

async function rowOf(file: string, read: () => Promise<Found>, bytes?: number): Promise<MediumRow> {
  try {
    const { manifest, claimedSigners: signers } = await read();
    const { host, sequence, createdAt } = manifest;
    return { file, bytes, host, sequence, createdAt, claimedSigners: signers, problem: undefined };
  } catch (error) {
    if (!(error instanceof NixmakerError)) throw error;
    const unknown = { host: undefined, sequence: undefined, createdAt: undefined, claimedSigners: [] };
    return { file, bytes, ...unknown, problem: error.code };
  }
}
