/**
 * NARs that we compress ourselves, straight from this machine’s store folder: `nix copy` takes several times as long for thousands of
 * small paths (docs/performance.md), and each would have to be decompressed again to be counted.
 */
import { createHash } from 'node:crypto';
import { mkdir, open } from 'node:fs/promises';
import { basename } from 'node:path';
import { finished } from 'node:stream/promises';
import { constants, createZstdCompress, zstdCompressSync } from 'node:zlib';
import { forEachAtOnce } from '../../bundle/at-once.ts';
import { NarCheck } from '../../bundle/nar-check.ts';
import { PieceSum } from '../../bundle/piece-sum.ts';
import type { Source } from '../../bundle/sources.ts';
import { through } from '../../bundle/zstd.ts';
import { hasErrno, insteadOf } from '../../core/errno.ts';
import { giveBackAround } from '../../core/memory.ts';
import { encodeNix32 } from '../../core/nix32.ts';
import { narDigest, type PathInfo } from '../../core/release/path-info.ts';
import type { StorePath } from '../../core/store-path.ts';
import { narInto, narOf } from '../../nix/nar.ts';
import { Buffers } from './buffers.ts';
import type { CachedFile, CacheFolder } from './cache-folder.ts';
import { zstdLevel } from './kept-list.ts';
import type { NarCache } from './nar-cache.ts';
import type { NarCounts } from './nar-counts.ts';
import { Place } from './place.ts';

/** Up to this size, handing work to another thread takes longer than the work itself. */
const inlineBytes = 32 * 1024;
/** Up to this size a NAR is held in memory. */
const wholeBytes = 16 * 1024 * 1024;
/** What a larger one becomes comes in pieces of this size. */
const streamedBytes = 1024 * 1024;
/** From this size on, a NAR is begun before smaller ones. */
const largeBytes = 4 * 1024 * 1024;
/** From this size on, compressed, a piece gets a file of its own: a pool on the same file system can then share its blocks. */
const ownFileBytes = 1024 * 1024;

interface Wiring {
  /** Is told where each path’s piece is. */
  readonly cache: CacheFolder;
  /** Is told what each NAR is made of. */
  readonly counts: NarCounts;
  /** What earlier builds compressed. */
  readonly nars?: NarCache | undefined;
}

export class StoreCompressor {
  readonly #folder: string;
  readonly #cache: CacheFolder;
  readonly #counts: NarCounts;
  readonly #nars: NarCache | undefined;
  readonly #buffers = new Buffers(wholeBytes + 1);
  #isKeeping: boolean;
  /** The last one is written to; there are others only if the first ran out of room. */
  readonly #places: Place[] = [];
  #placing: Promise<void> | undefined;
  #leaving: Promise<void> | undefined;
  /** What earlier builds compressed. */
  readonly #found: PathInfo[] = [];
  /** Those that had been altered and were compressed again. */
  readonly #replaced = new Set<StorePath>();
  /** Already compressed, possibly for an earlier host. */
  readonly #done = new Set<StorePath>();

  /** @param folder our own, for what is not kept */
  constructor(folder: string, { cache, counts, nars }: Wiring) {
    this.#folder = folder;
    this.#cache = cache;
    this.#counts = counts;
    this.#nars = nars;
    this.#isKeeping = nars !== undefined;
  }

  /** @returns whether all were available. If not, they are not in this machine’s store folder as Nix knows them: its store is elsewhere */
  async addAll(paths: readonly PathInfo[], onDone: (done: number) => void): Promise<boolean> {
    const fresh = paths.filter((info) => !this.#done.has(info.path) && !this.#find(info));
    const known = paths.length - fresh.length;
    onDone(known);
    return this.#addFresh(fresh, (done) => onDone(known + done));
  }

  /**
   * Anything kept by earlier builds and altered since is compressed again: only once, because another host may already be reading it.
   * @returns whether there was any, and all of it was available
   */
  async replaceAltered(): Promise<boolean> {
    const altered = this.#found.filter((info) => this.#nars?.isIntact({ narHash: narDigest(info) }) !== true);
    const fresh = altered.filter(({ path }) => !this.#replaced.has(path));
    const isAll = await this.#addFresh(fresh, () => undefined);
    if (isAll) for (const { path } of fresh) this.#replaced.add(path);
    return altered.length > 0 && isAll;
  }

  async #addFresh(fresh: readonly PathInfo[], onDone: (done: number) => void): Promise<boolean> {
    if (fresh.length > 0) {
      this.#placing ??= this.#makePlace();
      await this.#placing;
    }
    let [done, missing] = [0, 0];
    await forEachAtOnce(largeFirst(fresh), async (info) => {
      if (await this.#add(info)) this.#done.add(info.path);
      else missing += 1;
      done += 1;
      onDone(done);
    });
    this.#buffers.clear();
    return missing === 0;
  }

  close(): void {
    for (const place of this.#places.splice(0)) place.close();
  }

  /** @returns whether an earlier build compressed it */
  #find(info: PathInfo): boolean {
    const narHash = narDigest(info);
    const found = this.#nars?.find({ narHash, narSize: info.narSize });
    if (found === undefined) return false;
    this.#counts.set(info.path, found.count);
    this.#cache.add({ ...info, narHash, file: found.file }, found.source);
    this.#done.add(info.path);
    this.#found.push(info);
    return true;
  }

  async #makePlace(): Promise<void> {
    const kept = this.#isKeeping
      ? await this.#nars?.place().catch((error) => this.#abandon(error))
      : undefined;
    if (kept === undefined) await mkdir(this.#folder, { recursive: true });
    this.#places.push(new Place(kept ?? this.#folder, kept !== undefined));
  }

  /** Created as soon as there is something to compress. */
  get #place(): Place {
    return this.#places.at(-1) as Place;
  }

  async #add(info: PathInfo): Promise<boolean> {
    const place = this.#place;
    try {
      return await this.#compress(info, place);
    } catch (error) {
      // What is kept may be on a different disk from the one the bundles are written to.
      if (!place.isKept || !hasErrno(error, 'ENOSPC', 'EDQUOT', 'EIO', 'EROFS')) throw error;
      this.#leaving ??= this.#keepNothing(error);
      await this.#leaving;
      return this.#compress(info, this.#place);
    }
  }

  async #keepNothing(error: unknown): Promise<void> {
    this.#abandon(error);
    await this.#makePlace();
  }

  /** The build goes on without keeping anything from it. */
  #abandon(error: unknown): undefined {
    this.#nars?.abandon(error);
    this.#isKeeping = false;
  }

  async #compress(info: PathInfo, place: Place): Promise<boolean> {
    const narHash = narDigest(info);
    const check = new NarCheck({ narHash, narSize: info.narSize });
    const work = { info, check, place };
    const compress = info.narSize <= wholeBytes ? this.#whole(work) : this.#stream(work);
    const made = await compress.catch(insteadOf(['ENOENT', 'EACCES'], undefined));
    const count = made === undefined ? undefined : check.end();
    if (made === undefined || count === undefined) return false;
    this.#counts.set(info.path, count);
    this.#cache.add({ ...info, narHash, file: made.file }, made.source);
    const { path, position = 0, sum } = made.source;
    if (place.isKept && this.#isKeeping)
      this.#nars?.keep({
        narHash,
        narSize: info.narSize,
        ...made.file,
        sum,
        file: basename(path),
        position,
        ...count,
      });
    return true;
  }

  async #whole({ info: { path, narSize }, check, place }: Work): Promise<Compressed | undefined> {
    // One byte more tells what is longer.
    const chunks = await this.#buffers.lend(narSize + 1, async (buffer) => {
      const length = await narInto(path, buffer);
      const nar = buffer.subarray(0, length);
      check.add(nar);
      // Not the one Nix knows.
      return length === narSize ? compressed(nar) : undefined;
    });
    if (chunks === undefined) return undefined;
    const tally = new Tally();
    for (const chunk of chunks) tally.add(chunk);
    const { file, sum } = tally.end();
    const where = file.size < ownFileBytes ? place.append(chunks) : await place.writeOwn(path, chunks);
    // For each few of them V8 would collect garbage, which takes a fifth of the processor’s time.
    giveBackAround(chunks);
    return { file, source: { ...where, sum } };
  }

  async #stream({ info: { path }, check, place }: Work): Promise<Compressed> {
    const made = place.ownFile(path);
    const tally = new Tally();
    const out = await open(made, 'w', 0o644);
    try {
      const zstd = createZstdCompress({ ...parameters, chunkSize: streamedBytes });
      for await (const chunk of through(zstd, checked(narOf(path), check))) {
        tally.add(chunk);
        await out.writeFile(chunk);
      }
    } finally {
      await out.close();
    }
    const { file, sum } = tally.end();
    return { file, source: { path: made, sum } };
  }
}

/** What a piece’s bytes come to. */
class Tally {
  readonly #hash = createHash('sha256');
  readonly #sum = new PieceSum();
  #size = 0;

  add(chunk: Buffer): void {
    this.#hash.update(chunk);
    this.#sum.add(chunk);
    this.#size += chunk.length;
  }

  end(): { readonly file: CachedFile; readonly sum: string } {
    const digest = encodeNix32(this.#hash.digest());
    return { file: { digest, size: this.#size }, sum: this.#sum.end() };
  }
}

/**
 * One thread compresses each, and at the end the others would wait for a large one. The small ones stay in order: in the file that they
 * share, they are then side by side as the bundle wants them, which a disk with heads will read.
 */
export function largeFirst(paths: readonly PathInfo[]): PathInfo[] {
  const large = paths.filter(({ narSize }) => narSize >= largeBytes);
  large.sort((a, b) => b.narSize - a.narSize);
  return [...large, ...paths.filter(({ narSize }) => narSize < largeBytes)];
}

interface Work {
  readonly info: PathInfo;
  readonly check: NarCheck;
  readonly place: Place;
}

interface Compressed {
  readonly file: CachedFile;
  readonly source: Source & { readonly sum: string };
}

const parameters = { params: { [constants.ZSTD_c_compressionLevel]: zstdLevel } };

async function compressed(nar: Buffer): Promise<Buffer[]> {
  // Without the size, zstd prepares for the largest.
  const options = { ...parameters, pledgedSrcSize: nar.length };
  if (nar.length <= inlineBytes) return [zstdCompressSync(nar, options)];
  // Room for all of it, because each further buffer is another trip to another thread. Memory that is not written to is not taken.
  const stream = createZstdCompress({ ...options, chunkSize: nar.length + Math.ceil(nar.length / 256) + 64 });
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.end(nar);
  await finished(stream);
  return chunks;
}

async function* checked(nar: AsyncIterable<Buffer>, check: NarCheck): AsyncGenerator<Buffer, void, void> {
  for await (const chunk of nar) {
    check.add(chunk);
    yield chunk;
  }
}
