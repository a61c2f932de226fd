/**
 * Binary deltas: a changed path as the difference from its nearest predecessor among what the target has. Only if both are
 * on this machine, and only if it pays; everything else is carried whole.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import pLimit from 'p-limit';
import { insteadOf, isMissing } from '../../core/errno.ts';
import { limits } from '../../core/limits.ts';
import { encodeNix32 } from '../../core/nix32.ts';
import type { DeltaPiece } from '../../core/release/contents-file.ts';
import { hashPart, type StorePath } from '../../core/store-path.ts';
import type { NixContext } from '../../nix/command.ts';
import { narOf } from '../../nix/nar.ts';
import { narHashesOf, narSizesOf } from '../../nix/path-info.ts';
import { findInvalid } from '../../nix/store.ts';
import { runProgram } from '../../process/run.ts';
import type { Base } from './base.ts';
import type { CachedPath } from './cache-folder.ts';
import { type HashedPath, Likely } from './likely.ts';

export interface MadeDelta {
  /** The index says which line it is for. */
  readonly piece: Omit<DeltaPiece, 'line'>;
  readonly file: string;
}

/** A delta must be smaller than this share of the path’s NAR compressed on its own: restoring takes time and memory. */
const worthwhile = 0.7;
/**
 * Up to this size zlib’s dictionaries find everything `zstd --patch-from` does, without a process; beyond it, they see only part
 * of the base (measured: docs/adr/0016).
 */
const dictionaryBytes = 1024 * 1024;
const smallLevel = 6;
/**
 * For large ones: with a table covering the whole base, a level pays off that would not on its own (docs/performance.md); beyond it,
 * ten times the time gains little.
 */
const largeOptions = ['-12', '--zstd=hashLog=24,chainLog=25'];

/** In a bundle each piece has a header and padding, and a line in `contents` (docs/format.md). Bytes. */
const block = 512;
const linesOf = { whole: 80, delta: 420 } as const;
/** A whole piece also has a narinfo, of at least two blocks. */
const narinfo = 2 * block;
const weightOf = (kind: keyof typeof linesOf, size: number): number =>
  block + Math.ceil(size / block) * block + linesOf[kind];

export interface DeltaWork {
  readonly nix: NixContext;
  /** What at least one base lacks. */
  readonly changed: readonly CachedPath[];
  /** The targets’ bases; each target has one of them. */
  readonly bases: readonly Base[];
  /** From the new release. */
  readonly closure: ReadonlySet<StorePath>;
  /** Our own folder. */
  readonly staging: string;
  readonly say: (text: string) => void;
}

/**
 * For each changed path, the deltas that serve every base that lacks it, if together they are smaller than the whole path;
 * anything not listed is carried whole.
 */
export async function makeDeltas(work: DeltaWork): Promise<ReadonlyMap<StorePath, readonly MadeDelta[]>> {
  const bases = (await readBases(work)).filter(isSmall);
  const changed = work.changed.filter(isSmall);
  const gone = bases.filter(({ path }) => !work.closure.has(path));
  const likely = new Likely({ read: narBytes, bases, gone }, changed);
  const folder = join(work.staging, 'deltas');
  await mkdir(folder, { recursive: true });
  const limit = pLimit(availableParallelism());
  const made = new Map<StorePath, readonly MadeDelta[]>();
  let done = 0;
  await Promise.all(
    changed.map((info) =>
      limit(async () => {
        done += 1;
        work.say(`comparing ${done} of ${changed.length}`);
        const deltas = await serveAll(info, { ...work, likely, folder });
        if (deltas !== undefined) made.set(info.path, deltas);
      }),
    ),
  );
  return made;
}

const isSmall = ({ narSize }: { readonly narSize: number }) => narSize <= limits.deltaNarBytes;

/** Undefined if it is carried whole. */
async function serveAll(
  info: CachedPath,
  { bases, likely, folder }: DeltaWork & { readonly likely: Likely; readonly folder: string },
): Promise<readonly MadeDelta[] | undefined> {
  // Without a file there is no path to carry: every target has it.
  if (info.file === undefined) return undefined;
  const whole = info.file.size;
  const candidates = await likely.of(info);
  const made: MadeDelta[] = [];
  let [size, weight] = [0, 0];
  let lacking = bases.filter(({ paths }) => !paths.has(info.path));
  while (lacking.length > 0) {
    const base = mostHad(candidates, lacking);
    if (base === undefined) return undefined;
    const delta = await makeDelta(info, base, folder);
    if (delta === undefined) return undefined;
    size += delta.piece.size;
    weight += weightOf('delta', delta.piece.size);
    if (size > whole * worthwhile || weight > weightOf('whole', whole) + narinfo) return undefined;
    made.push(delta);
    lacking = lacking.filter(({ paths }) => !paths.has(base.path));
  }
  return made;
}

/** The one most of the bases have; if several, the likeliest. */
function mostHad(candidates: readonly HashedPath[], bases: readonly Base[]): HashedPath | undefined {
  let best: { readonly path: HashedPath; readonly count: number } | undefined;
  for (const path of candidates) {
    const count = bases.filter(({ paths }) => paths.has(path.path)).length;
    if (count > (best?.count ?? 0)) best = { path, count };
  }
  return best?.path;
}

/** The bases’ paths that this machine has too. */
async function readBases({ nix, bases }: DeltaWork): Promise<HashedPath[]> {
  const all = [...new Set(bases.flatMap((base) => [...base.paths]))];
  const missing = new Set(await findInvalid(nix, all));
  const paths = all.filter((path) => !missing.has(path));
  const [hashes, sizes] = await Promise.all([narHashesOf(nix, paths), narSizesOf(nix, paths)]);
  return paths.map((path, i) => {
    const narHash = (hashes[i] ?? '').replace(/^sha256:/, '');
    return { path, narHash, narSize: sizes[i] ?? Number.NaN };
  });
}

/** Large ones a few at a time, because both NARs are held in memory. */
const large = pLimit(2);

async function makeDelta(info: CachedPath, base: HashedPath, folder: string): Promise<MadeDelta | undefined> {
  const isLarge = Math.max(info.narSize, base.narSize) > dictionaryBytes;
  const work = () => compress(info, base, folder);
  const compressed = await (isLarge ? large(work) : work());
  if (compressed === undefined) return undefined;
  const { digest, file } = await keepDelta(folder, compressed);
  const { path, narHash } = base;
  return {
    piece: { kind: 'delta', size: compressed.length, digest, base: path, baseNarHash: narHash },
    file,
  };
}

/** Hosts share deltas: another may be copying this one now, so what is there under its digest is left as it is. */
export async function keepDelta(
  folder: string,
  compressed: Buffer,
): Promise<{ readonly digest: string; readonly file: string }> {
  const digest = encodeNix32(createHash('sha256').update(compressed).digest());
  const file = join(folder, `${digest}.zst`);
  await writeFile(file, compressed, { flag: 'wx' }).catch(insteadOf(['EEXIST'], undefined));
  return { digest, file };
}

const zstd = promisify(zstdCompress);

async function compress(info: HashedPath, base: HashedPath, folder: string): Promise<Buffer | undefined> {
  const [from, to] = [await narBytes(base), await narBytes(info)];
  if (from === undefined || to === undefined) return undefined;
  if (from.length <= dictionaryBytes && to.length <= dictionaryBytes)
    return zstd(to, { dictionary: from, params: { [constants.ZSTD_c_compressionLevel]: smallLevel } });
  return patchFrom(from, to, join(folder, hashPart(info.path)));
}

/**
 * Undefined if this machine’s own store folder does not hold it as Nix knows it (a store elsewhere): a delta to or from
 * anything else would be useless to the target.
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

/** Undefined if there is no zstd program: the path is then carried whole. */
async function patchFrom(from: Buffer, to: Buffer, work: string): Promise<Buffer | undefined> {
  const [base, target, patch] = [`${work}.from`, `${work}.to`, `${work}.zst`];
  try {
    await writeFile(base, from);
    await writeFile(target, to);
    const args = ['-q', '-f', '-T1', ...largeOptions, `--patch-from=${base}`, target, '-o', patch];
    const ran = await runProgram('zstd', args);
    return ran.exitCode === 0 ? await readFile(patch) : undefined;
  } finally {
    for (const file of [base, target, patch]) await rm(file, { force: true });
  }
}
