/**
 * A release in the folder that the agent searches: only what this machine lacks, under its own `contents`, and nothing of an older one.
 * The entry gets its name last, as `put` does it.
 */
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import pLimit from 'p-limit';
import { readSmall } from '../../bundle/file.ts';
import { readHeadFiles } from '../../bundle/head-files.ts';
import { cacheOf, hostsOf, indexName, keyringsOf, listPool, nixSignaturesName } from '../../bundle/pool.ts';
import { collectGarbage, removeEntry } from '../../bundle/pool-prune.ts';
import { hasContents, prepareEntry, publishEntry } from '../../bundle/pool-write.ts';
import type { Release } from '../../bundle/release.ts';
import { complaintOf } from '../../core/complaint.ts';
import { NixmakerError } from '../../core/errors.ts';
import { encodeContents, type Piece, pieceName } from '../../core/release/contents-file.ts';
import { metaText } from '../../core/release/manifest.ts';
import { unlikeSizes } from '../../core/size.ts';
import { namesIn } from '../../files/read.ts';
import { writeBeside } from '../../files/write.ts';
import { spaceAt } from '../../media/space.ts';
import { withOpenDaemon } from '../../nix/open-daemon.ts';
import type { Machine } from '../machine/machine.ts';
import { comparePaths, type Recognition, recognizeByPublicKey } from '../machine/valid-paths.ts';
import { findPieces } from '../update/plan-import.ts';
import { type Download, fetchPiece } from './download.ts';
import type { Found } from './find-release.ts';

type Keeper = Pick<Machine, 'floorDirectory' | 'nix' | 'policy' | 'run'>;

/** What is valid here and as signed is left out. In the order of the index. @throws NixmakerError `base-missing`, `nix-unavailable` */
export async function choosePiecesHere(machine: Keeper, release: Release): Promise<readonly Piece[]> {
  const recognition = await recognizeByPublicKey(machine);
  return withOpenDaemon(machine.nix, (nix) => choosePieces({ nix }, release, recognition));
}

async function choosePieces(
  store: Pick<Keeper, 'nix'>,
  release: Release,
  recognition: Recognition,
): Promise<readonly Piece[]> {
  const { index } = release;
  const { missing, differing, lost } = await comparePaths(store, index, recognition);
  // The agent clears these away if nothing needs them, and then it needs them anew.
  const others = new Set([...differing, ...lost].map(({ path }) => path));
  const lines = new Set(missing);
  for (let line = 0; line < index.length; line++) if (others.has(index.path(line))) lines.add(line);
  const pieces = await findPieces(
    store,
    [...lines].sort((a, b) => a - b),
    release,
  );
  return [...pieces.values()];
}

export interface Keeping {
  readonly folder: string;
  readonly found: Found;
  readonly pieces: readonly Piece[];
}

/** @returns files fetched @throws NixmakerError `no-space`, and as `fetchPiece` */
export async function keepRelease(
  machine: Keeper,
  { folder, found, pieces }: Keeping,
  download: Omit<Download, 'cache' | 'onBytes'> & {
    readonly atOnce: number;
    readonly onBytes: (done: number, total: number) => void;
  },
): Promise<number> {
  const cache = cacheOf(folder);
  const lacking = await findLacking(cache, pieces);
  await makeRoom(machine, { folder, found, pieces }, lacking);
  const total = lacking.reduce((sum, { size }) => sum + size, 0);
  let done = 0;
  const onBytes = (bytes: number) => {
    done += bytes;
    download.onBytes(done, total);
  };
  const limit = pLimit(download.atOnce);
  await limit.map(lacking, async (piece) => {
    await requireRoom(machine, folder, piece.size);
    await fetchPiece({ ...download, cache, onBytes }, piece);
  });
  await writeIndex(cache, found.release);
  await flush(machine, folder);
  await publish(machine, { folder, found, pieces }, lacking.length > 0);
  await trim(folder, found.release, pieces);
  return lacking.length;
}

/** Read in full: a power cut leaves files of the right size with nothing in them. */
async function findLacking(cache: string, pieces: readonly Piece[]): Promise<Piece[]> {
  const lacking: Piece[] = [];
  const seen = new Set<string>();
  for (const piece of pieces) {
    const name = pieceName(piece);
    if (seen.has(name)) continue;
    seen.add(name);
    if (!(await hasContents(join(cache, name), piece))) lacking.push(piece);
  }
  return lacking;
}

/** What an older release needed goes first, but only if there is no room beside it. @throws NixmakerError `no-space` */
async function makeRoom(machine: Keeper, { folder, found, pieces }: Keeping, lacking: readonly Piece[]) {
  const needed = lacking.reduce((sum, { size }) => sum + size, 0);
  try {
    await requireRoom(machine, folder, needed);
  } catch (error) {
    if (!(error instanceof NixmakerError)) throw error;
    await trim(folder, found.release, pieces);
    await requireRoom(machine, folder, needed);
  }
}

async function requireRoom({ policy }: Keeper, folder: string, bytes: number): Promise<void> {
  const { freeBytes } = await spaceAt(folder);
  const needed = bytes + policy.limits.freeBytes;
  if (freeBytes >= needed) return;
  const [wanted, free] = unlikeSizes(needed, freeBytes);
  throw new NixmakerError(
    'no-space',
    `${folder}: ${wanted} needed, with what the policy keeps free; ${free} free`,
  );
}

async function writeIndex(cache: string, { manifest, index, nixSignatures }: Release): Promise<void> {
  for (const [name, bytes] of [
    [indexName(manifest), index.bytes],
    [nixSignaturesName(manifest), nixSignatures.bytes],
  ] as const) {
    await mkdir(dirname(join(cache, name)), { recursive: true });
    await writeBeside(join(cache, name), (out) => out.writeFile(bytes));
  }
}

/** If anything is new, the whole entry is: by its manifest the agent sees that it must look again. */
async function publish(machine: Keeper, { folder, found, pieces }: Keeping, isNew: boolean): Promise<void> {
  const { head, verified } = found;
  const { manifest, digest } = verified;
  const place = join(hostsOf(folder), manifest.host, String(manifest.sequence));
  const contents = Buffer.from(encodeContents(digest, pieces));
  const there = isNew
    ? undefined
    : await readSmall(join(place, 'contents'), contents.length).catch(() => undefined);
  if (there?.equals(contents) === true && (await readHeadFiles(place)) !== undefined) return;
  const entry = {
    'manifest.json': head.manifestBytes,
    'manifest.sig': head.signatureBytes,
    contents,
    meta: Buffer.from(metaText(manifest)),
  };
  await publishEntry(await prepareEntry(place, entry), place);
  await flush(machine, folder);
}

/** @throws NixmakerError `io-error` */
async function flush({ run }: Keeper, folder: string): Promise<void> {
  const result = await run('sync', ['--file-system', folder]);
  if (result.exitCode === 0) return;
  throw new NixmakerError('io-error', `cannot flush ${folder}: ${complaintOf(result, 'sync failed')}`);
}

/** Deletes everything that this release does not need, and what was begun for others. */
async function trim(folder: string, { manifest }: Release, pieces: readonly Piece[]): Promise<void> {
  for (const entry of await listPool(folder))
    if (entry.host !== manifest.host || entry.sequence !== manifest.sequence) await removeEntry(entry);
  const names = new Set([indexName(manifest), nixSignaturesName(manifest), ...pieces.map(pieceName)]);
  await collectGarbage(folder, names);
  const begun = /^\.([^.]+\.(?:nar\.)?zst)(?:\.[0-9]{3})?\.(?:part|etag)$/;
  for (const kind of ['nar', 'delta'])
    for (const xx of await namesIn(join(cacheOf(folder), kind)))
      for (const name of await namesIn(join(cacheOf(folder), kind, xx), 'ENOTDIR')) {
        const whole = begun.exec(name)?.[1];
        if (whole !== undefined && !names.has(`${kind}/${xx}/${whole}`))
          await rm(join(cacheOf(folder), kind, xx, name));
      }
}

/** The folders that are there before anything is fetched. */
export async function makePool(folder: string): Promise<void> {
  for (const path of [hostsOf(folder), keyringsOf(folder), join(cacheOf(folder), 'index')])
    await mkdir(path, { recursive: true });
}
