/**
 * The flake’s source under another name: `${./.}`, `filterSource`, `cleanSource` and `fileset` copy all or some of it into a store path of
 * its own, which is found by its contents. A copy holds nothing but files of the flake, and either a `.nix` file or one that lies at the
 * same place as in the flake; what a host needs of it (`${./www}`, a single file) is none.
 */
import { readdir, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { signedFileOf } from '../../bundle/write.ts';
import { insteadOf } from '../../core/errno.ts';
import type { StorePath } from '../../core/store-path.ts';
import type { CachedPath } from './cache-folder.ts';

interface SourceFile {
  /** Below the source’s folder. */
  readonly name: string;
  readonly path: string;
  readonly size: number;
}

/** What Nix has added from files, whole folders among it (Nix src/libstore/content-address.cc). */
const addedFromFiles = /^fixed:(?:r|git):/;

/** For all hosts of a run: no path is looked at twice. */
export class SourceCopies {
  readonly #source: StorePath | undefined;
  readonly #verdicts = new Map<StorePath, Promise<boolean>>();
  readonly #digests = new Map<string, Promise<string>>();
  #bySize: Promise<ReadonlyMap<number, readonly SourceFile[]>> | undefined;

  /** @param source the flake as Nix took it, where it is known */
  constructor(source: StorePath | undefined) {
    this.#source = source;
  }

  /** Itself as well, where it is among them. */
  async among(closure: readonly Pick<CachedPath, 'path' | 'ca'>[]): Promise<ReadonlySet<StorePath>> {
    const found = new Set<StorePath>();
    for (const { path, ca } of closure) {
      if (path === this.#source) found.add(path);
      if (this.#source === undefined || path === this.#source || !addedFromFiles.test(ca ?? '')) continue;
      const verdict = this.#verdicts.get(path) ?? this.#isCopy(path, this.#source);
      this.#verdicts.set(path, verdict);
      if (await verdict) found.add(path);
    }
    return found;
  }

  async #isCopy(path: StorePath, source: StorePath): Promise<boolean> {
    const files = await filesIn(path);
    this.#bySize ??= filesIn(source).then((all) => Map.groupBy(all, ({ size }) => size));
    const bySize = await this.#bySize;
    // By size alone most that is something else is told.
    if (!files.every(({ size }) => bySize.has(size))) return false;
    let isSource = false;
    for (const file of files) {
      const same = await this.#sameAs(file, bySize.get(file.size) ?? []);
      if (same.length === 0) return false;
      isSource ||= file.name.endsWith('.nix') || same.includes(file.name);
    }
    return isSource;
  }

  /** Names in the source of what has the same contents. */
  async #sameAs(file: SourceFile, candidates: readonly SourceFile[]): Promise<string[]> {
    const digest = await digestOf(file.path);
    const same: string[] = [];
    for (const { name, path } of candidates) {
      const theirs = this.#digests.get(path) ?? digestOf(path);
      this.#digests.set(path, theirs);
      if ((await theirs) === digest) same.push(name);
    }
    return same;
  }
}

/** Those with contents, of a folder; none of a single file, or where Nix has its store elsewhere. */
async function filesIn(folder: string): Promise<SourceFile[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(
    insteadOf(['ENOENT', 'ENOTDIR'], []),
  );
  const files = entries.filter((entry) => entry.isFile());
  const all = await Promise.all(
    files.map(async ({ parentPath, name }) => {
      const path = join(parentPath, name);
      return { name: relative(folder, path), path, size: (await stat(path)).size };
    }),
  );
  return all.filter(({ size }) => size > 0);
}

const digestOf = async (path: string): Promise<string> => (await signedFileOf(path)).sha256;
