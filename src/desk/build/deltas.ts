/**
 * Binary deltas: a changed path as the difference to its nearest predecessor among what the target has. Only where both are
 * on this machine, and only where it pays; everything else is carried whole.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import pLimit from 'p-limit';
import { narOf } from '../../bundle/nar.ts';
import { memberOf, type SourcedMember } from '../../bundle/write.ts';
import type { Delta } from '../../core/bundle/manifest.ts';
import type { Narinfo } from '../../core/bundle/narinfo.ts';
import { findPredecessors, type Sized } from '../../core/bundle/predecessor.ts';
import { isMissing } from '../../core/errno.ts';
import { limits } from '../../core/limits.ts';
import { encodeNix32 } from '../../core/nix32.ts';
import { hashPart, type StorePath } from '../../core/store-path.ts';
import type { NixContext } from '../../nix/command.ts';
import { narHashesOf, narSizesOf } from '../../nix/path-info.ts';
import { findInvalid } from '../../nix/store.ts';
import { runProgram } from '../../process/run.ts';

export interface MadeDelta {
  readonly delta: Delta;
  readonly member: SourcedMember;
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
  readonly changed: readonly Narinfo[];
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

interface BasePath extends Sized {
  readonly narHash: string;
}

/** Those of the base that this machine has as well. */
async function readBases({ nix, base }: DeltaWork): Promise<Map<StorePath, BasePath>> {
  const missing = new Set(await findInvalid(nix, [...base]));
  const paths = [...base].filter((path) => !missing.has(path));
  const [hashes, sizes] = await Promise.all([narHashesOf(nix, paths), narSizesOf(nix, paths)]);
  return new Map(
    paths.map((path, i) => [path, { path, narHash: hashes[i] ?? '', narSize: sizes[i] ?? Number.NaN }]),
  );
}

/** Of the large ones few at a time, for both NARs are held in memory. */
const large = pLimit(2);

async function makeDelta(info: Narinfo, base: BasePath, folder: string): Promise<MadeDelta | undefined> {
  const isLarge = Math.max(info.narSize, base.narSize) > dictionaryBytes;
  const work = () => compress(info, base, folder);
  const compressed = await (isLarge ? large(work) : work());
  if (compressed === undefined || compressed.length > info.fileSize * worthwhile) return undefined;
  const { sha256 } = memberOf('', compressed);
  const name = `delta/${encodeNix32(Buffer.from(sha256, 'hex'))}.zst`;
  const path = join(folder, name.slice('delta/'.length));
  await writeFile(path, compressed);
  return {
    delta: { path: info.path, base: base.path, baseHash: base.narHash, member: name },
    member: { member: { name, size: compressed.length, sha256 }, source: { path } },
  };
}

const zstd = promisify(zstdCompress);

async function compress(info: Narinfo, base: BasePath, folder: string): Promise<Buffer | undefined> {
  const [from, to] = [await narBytes(base.path), await narBytes(info.path)];
  if (from === undefined || to === undefined) return undefined;
  if (from.length <= dictionaryBytes && to.length <= dictionaryBytes)
    return zstd(to, { dictionary: from, params: { [constants.ZSTD_c_compressionLevel]: level } });
  return patchFrom(from, to, join(folder, hashPart(info.path)));
}

/** Undefined where it is not in this machine’s own store folder (a store elsewhere). */
async function narBytes(path: StorePath): Promise<Buffer | undefined> {
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of narOf(path)) chunks.push(chunk);
    return Buffer.concat(chunks);
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
