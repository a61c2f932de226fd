/**
 * What a build's NARs are made of, counted from the NARs themselves. Each is read once, however many hosts carry it, and must
 * be the one that Nix’s database or the cache announces.
 */
import { forEachAtOnce } from '../../bundle/at-once.ts';
import { checkWholePiece, NarCheck } from '../../bundle/nar-check.ts';
import type { NarCount } from '../../bundle/nar-count.ts';
import { hasErrno } from '../../core/errno.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import { narDigest, type PathInfo } from '../../core/release/path-info.ts';
import type { IndexedPath } from '../../core/release/write-index.ts';
import type { StorePath } from '../../core/store-path.ts';
import { narOf } from '../../nix/nar.ts';
import type { CachedPath, CacheFolder } from './cache-folder.ts';
import type { NarCache } from './nar-cache.ts';

export class NarCounts {
  readonly #cache: CacheFolder;
  readonly #nars: NarCache | undefined;
  readonly #counts = new Map<StorePath, NarCount>();

  /** @param nars what earlier builds counted */
  constructor(cache: CacheFolder, nars?: NarCache) {
    this.#cache = cache;
    this.#nars = nars;
  }

  /** What is already known of a path. */
  set(path: StorePath, count: NarCount): void {
    this.#counts.set(path, count);
  }

  /** Whether none of its files is named `*.nix`; false if it has not been counted yet. */
  hasNoExpressions(path: StorePath): boolean {
    return this.#counts.get(path)?.expressions === 0;
  }

  /**
   * Counts a path in this machine’s own store folder.
   * @returns whether it is there and holds what it should: Nix's store may be elsewhere
   */
  async addFromStore(info: PathInfo): Promise<boolean> {
    const { path, narSize } = info;
    const nar = { narHash: narDigest(info), narSize };
    const known = this.#nars?.count(nar);
    if (known !== undefined) this.#counts.set(path, known);
    if (known !== undefined) return true;
    const check = new NarCheck(nar);
    try {
      for await (const chunk of narOf(path, narSize)) check.add(chunk);
    } catch (error) {
      if (hasErrno(error, 'ENOENT', 'EACCES')) return false;
      throw error;
    }
    const count = check.end();
    if (count !== undefined) this.#counts.set(path, count);
    return count !== undefined;
  }

  /**
   * The paths as the index has them. Anything not yet counted is read from the cache.
   * @throws NixmakerError `bundle-altered`, `bundle-malformed` if the cache’s contents are not what it claims
   */
  async countAll(paths: readonly CachedPath[], onCounted: (counted: number) => void): Promise<IndexedPath[]> {
    let counted = 0;
    const indexed: IndexedPath[] = [];
    await forEachAtOnce(paths, async (cached) => {
      const { path, narHash, narSize, references, ca = '' } = cached;
      const count = this.#counts.get(path) ?? (await this.#count(cached));
      this.#counts.set(path, count);
      const { files, blocks } = count;
      indexed.push({ path, narHash, narSize, files, blocks, references, ca });
      counted += 1;
      onCounted(counted);
    });
    return indexed;
  }

  async #count({ path, file, narHash, narSize }: CachedPath): Promise<NarCount> {
    if (file === undefined)
      throw new NixmakerError('bundle-malformed', `the cache has no zstd-compressed copy of ${path}`);
    try {
      const piece = { kind: 'whole', line: 0, ...file } as const;
      return await checkWholePiece(this.#cache.reader, piece, { narHash, narSize });
    } catch (error) {
      const code = error instanceof NixmakerError ? error.code : 'io-error';
      const detail = error instanceof NixmakerError ? error.detail : messageOf(error);
      throw new NixmakerError(code, `${this.#cache.fileOf(file)}, for ${path}: ${detail}`, { cause: error });
    }
  }
}
