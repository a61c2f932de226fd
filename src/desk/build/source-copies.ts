/**
 * The flake’s source under another name. `${./.}`, `filterSource`, `cleanSource` and `fileset` copy all or part of it into a store path
 * of its own, which is recognised by its contents. Such a copy has only files of the flake, and either a `.nix` file or one in the
 * same place as in the flake; single things a host needs (`${./www}`, one file) do not count. A build that was given the source may
 * copy it into its output (`cp -r ${./.} $out`): that has the flake’s `flake.nix`, or a `.nix` file in the same folders as the flake.
 */
import { readdir, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { forEachAtOnce } from '../../bundle/at-once.ts';
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

/** What Nix added from files, including whole folders (Nix src/libstore/content-address.cc). */
const addedFromFiles = /^fixed:(?:r|git):/;

/** For all hosts of a run: no path is examined twice. */
export class SourceCopies {
  readonly #source: StorePath | undefined;
  readonly #verdicts = new Map<StorePath, Promise<boolean>>();
  readonly #digests = new Map<string, Promise<string>>();
  #files: Promise<readonly SourceFile[]> | undefined;
  #bySize: Promise<ReadonlyMap<number, readonly SourceFile[]>> | undefined;
  #telling: Promise<readonly SourceFile[]> | undefined;

  /** @param source the flake as Nix took it, if known */
  constructor(source: StorePath | undefined) {
    this.#source = source;
  }

  /**
   * Including itself, if listed.
   * @param isFree whether a path is already known to have no file named `*.nix`: its folders need not be read
   */
  async among(
    closure: readonly Pick<CachedPath, 'path' | 'ca'>[],
    isFree: (path: StorePath) => boolean = () => false,
  ): Promise<ReadonlySet<StorePath>> {
    const found = new Set<StorePath>();
    const source = this.#source;
    if (source === undefined) return found;
    await forEachAtOnce(closure, async (one) => {
      const { path, ca } = one;
      // What was built must have one; what was added need not.
      if (ca === undefined && path !== source && isFree(path)) return;
      const verdict = this.#verdicts.get(path) ?? this.#judge(one, source);
      this.#verdicts.set(path, verdict);
      if (await verdict) found.add(path);
    });
    return found;
  }

  async #judge({ path, ca }: Pick<CachedPath, 'path' | 'ca'>, source: StorePath): Promise<boolean> {
    if (path === source) return true;
    if (ca === undefined) return this.#holdsCopy(path, source);
    return addedFromFiles.test(ca) && this.#isCopy(path, source);
  }

  /** For build outputs. Most of a system has no `.nix` file, so names are checked first. */
  async #holdsCopy(path: StorePath, source: StorePath): Promise<boolean> {
    this.#telling ??= this.#filesOf(source).then((all) => all.filter(isTelling));
    const telling = await this.#telling;
    for (const file of await namesIn(path, '.nix')) {
      const candidates = telling.filter(({ name }) => file === name || file.endsWith(`/${name}`));
      if (candidates.length === 0) continue;
      const there = { name: file, path: join(path, file) };
      const { size } = await stat(there.path);
      const same = candidates.filter((candidate) => candidate.size === size);
      if (same.length > 0 && (await this.#sameAs(there, same)).length > 0) return true;
    }
    return false;
  }

  async #isCopy(path: StorePath, source: StorePath): Promise<boolean> {
    const files = await filesIn(path);
    this.#bySize ??= this.#filesOf(source).then((all) => Map.groupBy(all, ({ size }) => size));
    const bySize = await this.#bySize;
    // Size alone rules out most things.
    if (!files.every(({ size }) => bySize.has(size))) return false;
    let isSource = false;
    for (const file of files) {
      const same = await this.#sameAs(file, bySize.get(file.size) ?? []);
      if (same.length === 0) return false;
      isSource ||= file.name.endsWith('.nix') || same.includes(file.name);
    }
    return isSource;
  }

  #filesOf(source: StorePath): Promise<readonly SourceFile[]> {
    this.#files ??= filesIn(source);
    return this.#files;
  }

  /** Names that have the same contents in the source. */
  async #sameAs(file: Pick<SourceFile, 'path'>, candidates: readonly SourceFile[]): Promise<string[]> {
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

/** Files nobody has by chance: the flake’s own `flake.nix`, or one in folders named like the flake’s. */
const isTelling = ({ name }: SourceFile): boolean =>
  name === 'flake.nix' || (name.endsWith('.nix') && name.includes('/'));

/** Regular files below a folder; none for a single file, or if Nix has its store elsewhere. @param ending of their names */
async function namesIn(folder: string, ending = ''): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(
    insteadOf(['ENOENT', 'ENOTDIR'], []),
  );
  const files = entries.filter((entry) => entry.name.endsWith(ending) && entry.isFile());
  return files.map(({ parentPath, name }) => relative(folder, join(parentPath, name)));
}

/** Files with contents. */
async function filesIn(folder: string): Promise<SourceFile[]> {
  const all = await Promise.all(
    (await namesIn(folder)).map(async (name) => {
      const path = join(folder, name);
      return { name, path, size: (await stat(path)).size };
    }),
  );
  return all.filter(({ size }) => size > 0);
}

const digestOf = async (path: string): Promise<string> => (await signedFileOf(path)).sha256;
