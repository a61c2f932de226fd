/**
 * NARs compressed by ourselves, straight from this machine’s store folder: `nix copy` takes several times as long for thousands of
 * small paths (docs/performance.md), and each would have to be decompressed again to be counted.
 */
import { createHash } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { constants, createZstdCompress, zstdCompress, zstdCompressSync } from 'node:zlib';
import { forEachAtOnce } from '../../bundle/at-once.ts';
import { narOf } from '../../bundle/nar.ts';
import { NarCheck } from '../../bundle/nar-check.ts';
import type { Source } from '../../bundle/write.ts';
import { insteadOf } from '../../core/errno.ts';
import { encodeNix32 } from '../../core/nix32.ts';
import type { PathInfo } from '../../core/release/path-info.ts';
import { hashPart, type StorePath } from '../../core/store-path.ts';
import type { CachedFile, CacheFolder } from './cache-folder.ts';
import type { NarCounts } from './nar-counts.ts';

/** zstd’s own default, and Nix’s. */
const level = 3;
/** Up to here the way to another thread takes longer than the work. */
const inlineBytes = 32 * 1024;
/** Up to here a NAR is held in memory. */
const wholeBytes = 16 * 1024 * 1024;

export class StoreCompressor {
  readonly #folder: string;
  readonly #cache: CacheFolder;
  readonly #counts: NarCounts;
  /** Small pieces lie in one file, one after the other: a file for each would take longer than to compress it. */
  readonly #packed: string;
  #packedBytes = 0;
  #packedFile: number | undefined;
  /** Compressed, maybe for an earlier host. */
  readonly #done = new Set<StorePath>();

  /** @param folder of our own @param cache learns where each path’s piece is @param counts learns what each NAR is made of */
  constructor(folder: string, { cache, counts }: { cache: CacheFolder; counts: NarCounts }) {
    this.#folder = folder;
    this.#packed = join(folder, 'pieces');
    this.#cache = cache;
    this.#counts = counts;
  }

  /** @returns whether all could be had. Others are not in this machine’s store folder as Nix knows them: it has its store elsewhere */
  async addAll(paths: readonly PathInfo[], onDone: (done: number) => void): Promise<boolean> {
    await mkdir(this.#folder, { recursive: true });
    this.#packedFile ??= openSync(this.#packed, 'w', 0o644);
    let [done, missing] = [0, 0];
    await forEachAtOnce(paths, async (info) => {
      if (this.#done.has(info.path) || (await this.#add(info))) this.#done.add(info.path);
      else missing += 1;
      done += 1;
      onDone(done);
    });
    return missing === 0;
  }

  close(): void {
    if (this.#packedFile !== undefined) closeSync(this.#packedFile);
    this.#packedFile = undefined;
  }

  async #add(info: PathInfo): Promise<boolean> {
    const narHash = info.narHash.replace(/^sha256:/, '');
    const check = new NarCheck({ narHash, narSize: info.narSize });
    const compress = info.narSize <= wholeBytes ? this.#whole(info, check) : this.#stream(info, check);
    const made = await compress.catch(insteadOf(['ENOENT', 'EACCES'], undefined));
    const count = made === undefined ? undefined : check.end();
    if (made === undefined || count === undefined) return false;
    this.#counts.set(info.path, count);
    this.#cache.add({ ...info, narHash, file: made.file }, made.source);
    return true;
  }

  async #whole({ path, narSize }: PathInfo, check: NarCheck): Promise<Compressed> {
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of narOf(path, narSize)) {
      check.add(chunk);
      chunks.push(chunk);
      size += chunk.length;
      // Another than Nix knows; how much longer does not matter.
      if (size > narSize) break;
    }
    const nar = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
    // Without its size zstd makes ready for the largest.
    const options = { ...parameters, pledgedSrcSize: nar.length };
    const bytes = nar.length <= inlineBytes ? zstdCompressSync(nar, options) : await zstd(nar, options);
    const file = { digest: digestOf(createHash('sha256').update(bytes)), size: bytes.length };
    return { file, source: { path: this.#packed, position: this.#append(bytes) } };
  }

  /** Synchronously, so that nothing comes in between. @returns where it begins */
  #append(bytes: Buffer): number {
    const position = this.#packedBytes;
    this.#packedBytes += bytes.length;
    for (let done = 0; done < bytes.length; )
      done += writeSync(this.#packedFile as number, bytes, done, bytes.length - done, position + done);
    return position;
  }

  async #stream({ path }: PathInfo, check: NarCheck): Promise<Compressed> {
    const made = join(this.#folder, `${hashPart(path)}.zst`);
    const hash = createHash('sha256');
    let size = 0;
    const out = await open(made, 'w', 0o644);
    try {
      await pipeline(
        checked(narOf(path), check),
        createZstdCompress(parameters),
        async (compressed: AsyncIterable<Buffer>) => {
          for await (const chunk of compressed) {
            hash.update(chunk);
            size += chunk.length;
            await out.writeFile(chunk);
          }
        },
      );
    } finally {
      await out.close();
    }
    return { file: { digest: digestOf(hash), size }, source: { path: made } };
  }
}

interface Compressed {
  readonly file: CachedFile;
  readonly source: Source;
}

const zstd = promisify(zstdCompress);
const parameters = { params: { [constants.ZSTD_c_compressionLevel]: level } };

async function* checked(nar: AsyncIterable<Buffer>, check: NarCheck): AsyncGenerator<Buffer, void, void> {
  for await (const chunk of nar) {
    check.add(chunk);
    yield chunk;
  }
}

const digestOf = (hash: ReturnType<typeof createHash>): string => encodeNix32(hash.digest());
