/** What lies on a medium, as it says of itself: for `inspect FOLDER`, at the desk or at a machine without a policy. */
import { lstat } from 'node:fs/promises';
import { relative } from 'node:path';
import { NixmakerError, type ReasonCode } from '../core/errors.ts';
import { listInbox } from '../media/inbox.ts';
import { inspectBundleFile } from './verify.ts';

export interface MediumRow {
  readonly file: string;
  readonly bytes: number;
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
  for (const { path } of await listInbox(folder)) {
    const { size: bytes } = await lstat(path);
    const row = { file: relative(folder, path), bytes };
    try {
      const { manifest, claimedSigners } = await inspectBundleFile(path);
      const { host, sequence, createdAt } = manifest;
      rows.push({ ...row, host, sequence, createdAt, claimedSigners, problem: undefined });
    } catch (error) {
      if (!(error instanceof NixmakerError)) throw error;
      const unknown = { host: undefined, sequence: undefined, createdAt: undefined, claimedSigners: [] };
      rows.push({ ...row, ...unknown, problem: error.code });
    }
  }
  return rows;
}
