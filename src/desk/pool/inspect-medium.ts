/** What a medium holds, by its own account: for `inspect FOLDER`, at the desk or on a machine without a policy. */
import { lstat } from 'node:fs/promises';
import { basename, relative } from 'node:path';
import type { HeadFiles } from '../../bundle/head-files.ts';
import { lookalikeOf } from '../../bundle/lookalike.ts';
import { eachHead } from '../../bundle/pool-heads.ts';
import { nameOf } from '../../core/bundle/lookalike.ts';
import { NixmakerError, type ReasonCode } from '../../core/errors.ts';
import { faultOf } from '../../core/fault.ts';
import type { Manifest } from '../../core/release/manifest.ts';
import { listInbox } from '../../media/inbox.ts';
import { readManifest } from '../../signing/verify.ts';
import { claimedSigners, inspectBundleFile } from '../keys/verify.ts';

export interface MediumRow {
  readonly file: string;
  /** Of the file. Anything a pool entry shares with others counts for none. */
  readonly bytes: number | undefined;
  readonly host: string | undefined;
  readonly sequence: number | undefined;
  readonly createdAt: string | undefined;
  /** Names the signatures claim; nothing was checked. */
  readonly claimedSigners: readonly string[];
  /** Why it isn’t a bundle. */
  readonly problem: ReasonCode | undefined;
}

/** Anything unreadable is a row too, and hides none of the others. */
export async function inspectMedium(folder: string): Promise<MediumRow[]> {
  const rows: MediumRow[] = [];
  const onFault = (path: string, error: unknown) => void rows.push(faultRow(nameIn(folder, path), error));
  for await (const entry of eachHead(folder, onFault))
    rows.push(await rowOf(nameIn(folder, entry.folder), async () => foundIn(entry.read())));
  const others: string[] = [];
  const onOther = (path: string) => void (others.length < mostOthers && others.push(path));
  for (const { path } of await listInbox(folder, { onFault, onOther })) {
    const bytes = await sizeOf(path).catch((error: unknown) => onFault(path, error));
    if (bytes !== undefined)
      rows.push(await rowOf(nameIn(folder, path), () => inspectBundleFile(path), bytes));
  }
  for (const path of others) rows.push(...(await misnamedRow(folder, path)));
  return rows;
}

/** Files with other names that are examined. */
const mostOthers = 200;

/** There may be thousands, and `relative` asks for the working folder each time. */
const nameIn = (folder: string, path: string) =>
  path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : relative(folder, path) || '.';
const sizeOf = async (path: string) => (await lstat(path)).size;

const unknown = { host: undefined, sequence: undefined, createdAt: undefined, claimedSigners: [] };

function faultRow(file: string, error: unknown): MediumRow {
  const { code: problem } = faultOf(error);
  return { file, bytes: undefined, ...unknown, problem };
}

/** A bundle by its first bytes, or a lookalike, that is not taken because of its name. */
async function misnamedRow(folder: string, path: string): Promise<MediumRow[]> {
  try {
    const isOne = (await lookalikeOf(path)) !== undefined || nameOf(basename(path)) === 'named';
    const row = { file: nameIn(folder, path), bytes: await sizeOf(path), ...unknown };
    return isOne ? [{ ...row, problem: 'misnamed' }] : [];
  } catch (error) {
    return [faultRow(nameIn(folder, path), error)];
  }
}

interface Found {
  readonly manifest: Pick<Manifest, 'host' | 'sequence' | 'createdAt'>;
  readonly claimedSigners: readonly string[];
}

function foundIn(head: HeadFiles | undefined): Found {
  if (head === undefined)
    throw new NixmakerError('bundle-truncated', 'the manifest or its signatures are missing');
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
    return { file, bytes, ...unknown, problem: error.code };
  }
}
