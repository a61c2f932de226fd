/**
 * Binary deltas: a changed path as the difference to its nearest predecessor among what the target has. Only where both are
 * on this machine, and only where it pays; everything else is carried whole.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import pLimit from 'p-limit';
import { narOf } from '../../bundle/nar.ts';
import { findPredecessors, type Sized } from '../../core/bundle/predecessor.ts';
import { isMissing } from '../../core/errno.ts';
import { limits } from '../../core/limits.ts';
import { encodeNix32 } from '../../core/nix32.ts';
import type { DeltaPiece } from '../../core/release/contents-file.ts';
import { hashPart, type StorePath } from '../../core/store-path.ts';
import type { NixContext } from '../../nix/command.ts';
import { narHashesOf, narSizesOf } from '../../nix/path-info.ts';
import { findInvalid } from '../../nix/store.ts';
import { runProgram } from '../../process/run.ts';
import type { CachedPath } from './cache-folder.ts';

export interface MadeDelta {
  /** Which line it is for, the index says. */
  readonly piece: Omit<DeltaPiece, 'line'>;
  readonly file: string;
}

/** A delta must be smaller than this share of the path’s NAR, compressed alone: restoring takes time and memory. */
const worthwhile = 0.7;
/**
 * Up to here zlib’s dictionaries find all that `zstd --patch-from` does, without a process; beyond, they see only a part
 * of the base (measured: docs/adr/0016).
 */
const dictionaryBytes = 1024 * 1024;
const level = 6;

export interface DeltaWork {
  readonly nix: NixContext;
  /** What has changed. */
  readonly changed: readonly CachedPath[];
  readonly base: ReadonlySet<StorePath>;
  /** A folder of our own. */
  readonly staging: string;
  readonly say: (text: string) => void;
}

/** @returns by the path that is restored */
export async function makeDeltas(work: DeltaWork): Promise<ReadonlyMap<StorePath, MadeDelta>> {
  const bases = await readBases(work);
  const isSmall = ({ narSize }: Sized) => narSize <= limits.deltaNarBytes;
  const predecessors = findPredecessors(work.changed.filter(isSmall), [...bases.values()].filter(isSmall));
  const folder = join(work.staging, 'deltas');
  await mkdir(folder, { recursive: true });
  const limit = pLimit(availableParallelism());
  const made = new Map<StorePath, MadeDelta>();
  let done = 0;
  await Promise.all(
    work.changed.map((info) =>
      limit(async () => {
        const base = bases.get(predecessors.get(info.path)?.path ?? info.path);
        done += 1;
        if (base === undefined) return;
        work.say(`comparing ${done} of ${work.changed.length}`);
        const result = await makeDelta(info, base, folder);
        if (result !== undefined) made.set(info.path, result);
      }),
    ),
  );
  return made;
}

/** A path and what it must hold: the same path can have been built otherwise elsewhere. */
interface HashedPath extends Sized {
  /** sha256 in Nix’s base 32, without prefix. */
  readonly narHash: string;
}

/** Those of the base that this machine has as well. */
async function readBases({ nix, base }: DeltaWork): Promise<Map<StorePath, HashedPath>> {
  const missing = new Set(await findInvalid(nix, [...base]));
  const paths = [...base].filter((path) => !missing.has(path));
  const [hashes, sizes] = await Promise.all([narHashesOf(nix, paths), narSizesOf(nix, paths)]);
  return new Map(
    paths.map((path, i) => {
      const narHash = (hashes[i] ?? '').replace(/^sha256:/, '');
      return [path, { path, narHash, narSize: sizes[i] ?? Number.NaN }];
    }),
  );
}

/** Of the large ones few at a time, for both NARs are held in memory. */
const large = pLimit(2);

async function makeDelta(info: CachedPath, base: HashedPath, folder: string): Promise<MadeDelta | undefined> {
  // Without a file there is no path to carry: it is left out.
  if (info.file === undefined) return undefined;
  const isLarge = Math.max(info.narSize, base.narSize) > dictionaryBytes;
  const work = () => compress(info, base, folder);
  const compressed = await (isLarge ? large(work) : work());
  if (compressed === undefined || compressed.length > info.file.size * worthwhile) return undefined;
  const digest = encodeNix32(createHash('sha256').update(compressed).digest());
  const file = join(folder, `${digest}.zst`);
  await writeFile(file, compressed);
  const { path, narHash } = base;
  return {
    piece: { kind: 'delta', size: compressed.length, digest, base: path, baseNarHash: narHash },
    file,
  };
}

const zstd = promisify(zstdCompress);

async function compress(info: HashedPath, base: HashedPath, folder: string): Promise<Buffer | undefined> {
  const [from, to] = [await narBytes(base), await narBytes(info)];
  if (from === undefined || to === undefined) return undefined;
  if (from.length <= dictionaryBytes && to.length <= dictionaryBytes)
    return zstd(to, { dictionary: from, params: { [constants.ZSTD_c_compressionLevel]: level } });
  return patchFrom(from, to, join(folder, hashPart(info.path)));
}

/**
 * Undefined where this machine’s own store folder does not hold it as Nix knows it (a store elsewhere): a difference to or from
 * something else would be of no use to the target.
 */
async function narBytes({ path, narHash }: HashedPath): Promise<Buffer | undefined> {
  try {
    const hash = createHash('sha256');
    const chunks: Buffer[] = [];
    for await (const chunk of narOf(path)) {
      hash.update(chunk);
      chunks.push(chunk);
    }
    return encodeNix32(hash.digest()) === narHash ? Buffer.concat(chunks) : undefined;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Undefined where there is no zstd program: the path is carried whole then. */
async function patchFrom(from: Buffer, to: Buffer, work: string): Promise<Buffer | undefined> {
  const [base, target, patch] = [`${work}.from`, `${work}.to`, `${work}.zst`];
  try {
    await writeFile(base, from);
    await writeFile(target, to);
    const args = ['-q', '-f', '-T1', `-${level}`, `--patch-from=${base}`, target, '-o', patch];
    const ran = await runProgram('zstd', args);
    return ran.exitCode === 0 ? await readFile(patch) : undefined;
  } finally {
    for (const file of [base, target, patch]) await rm(file, { force: true });
  }
}
