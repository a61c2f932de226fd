/**
 * What earlier builds have compressed, kept at the desk: a release costs what changed. Of each NAR, by its own hash, the compressed bytes
 * and what it is made of. Each run that compressed something leaves a folder of it, whole or not at all, and the folders that were
 * used longest ago give way.
 *
 * Threat: a disk that turns bits, and another user's folder. A piece is hashed while it is written into a bundle, and what has been
 * altered is compressed anew; a folder that is not this user's own is not used.
 */
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, constants, openSync, readSync, statSync } from 'node:fs';
import { lstat, mkdir, readdir, readFile, rename, rm, statfs, utimes } from 'node:fs/promises';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { NarCount } from '../../bundle/nar-count.ts';
import type { Source } from '../../bundle/sources.ts';
import { hasErrno, insteadOf } from '../../core/errno.ts';
import { messageOf } from '../../core/errors.ts';
import { encodeNix32 } from '../../core/nix32.ts';
import { makeFolders } from '../../files/folder.ts';
import { namesIn } from '../../files/read.ts';
import { writeWhole } from '../../files/write.ts';
import type { CachedFile } from './cache-folder.ts';
import { encodeKeptList, type KeptNar, keptList, readKeptList } from './kept-list.ts';
import { makeStaging, type Staging } from './staging.ts';

/** All of it together. Bytes; less where the file system has little room (see `bound`). */
const mostBytes = 20 * 1024 ** 3;
/** Runs whose folders are kept: each list is read at every build. */
const mostRuns = 200;
const chunkBytes = 1024 * 1024;

/**
 * The user's cache folder (XDG Base Directory Specification), of which this is ours; undefined for a user without a home (a container’s).
 * sudo(8) may leave root the home of whoever called it: what root made there its owner could not use any more. As Nix does, root then
 * has its own (Nix src/libutil/unix/users.cc).
 */
export function narCacheFolder(environment: NodeJS.ProcessEnv, home = homedir): string | undefined {
  const { XDG_CACHE_HOME: base = '' } = environment;
  // A relative one is to be passed over, as the specification says.
  if (base.startsWith('/') && !isAnothers(base)) return join(base, 'nixmaker', 'nars');
  try {
    const own = home();
    return join(isAnothers(own) ? userInfo().homedir : own, '.cache', 'nixmaker', 'nars');
  } catch {
    return undefined;
  }
}

/** Other users can make nothing in what is another’s. */
function isAnothers(folder: string): boolean {
  const owner = statSync(folder, { throwIfNoEntry: false })?.uid ?? 0;
  return process.geteuid?.() === 0 && owner !== 0;
}

/** What is kept of a NAR, to be used in its place. */
export interface FoundNar {
  readonly file: CachedFile;
  readonly count: NarCount;
  readonly source: Source;
}

interface Known extends KeptNar {
  readonly run: string;
}

export class NarCache {
  readonly #folder: string;
  readonly #warn: (text: string) => void;
  readonly #mostBytes: number;
  readonly #known = new Map<string, Known>();
  /** Files that are open: another build may delete their names meanwhile, and not what is read. */
  readonly #open = new Map<string, number>();
  readonly #used = new Set<string>();
  readonly #made: KeptNar[] = [];
  #staging: Promise<Staging> | undefined;

  private constructor(folder: string, warn: (text: string) => void, most: number) {
    this.#folder = folder;
    this.#warn = warn;
    this.#mostBytes = most;
  }

  /**
   * @param folder is made where it is not there @param warn hears why there is none, or why something could not be kept
   * @param most bytes, for the tests @returns undefined where none can be had: a build goes on without
   */
  static async open(
    folder: string,
    warn: (text: string) => void,
    most = mostBytes,
  ): Promise<NarCache | undefined> {
    try {
      await makeFolders(folder);
      const { uid } = await lstat(folder);
      if (uid !== process.geteuid?.()) throw new Error('it belongs to another user');
      const cache = new NarCache(folder, warn, most);
      for (const run of await cache.#runs()) await cache.#read(run);
      return cache;
    } catch (error) {
      warn(`note: nothing is kept for the next build: ${folder} cannot be used: ${messageOf(error)}`);
      return undefined;
    }
  }

  /** Nobody has looked at its bytes: whoever uses them compares their digest. @returns undefined where nothing is kept of it */
  find({ narHash, narSize }: { readonly narHash: string; readonly narSize: number }): FoundNar | undefined {
    const known = this.#known.get(narHash);
    if (known === undefined || known.narSize !== narSize) return undefined;
    const { run, file, digest, size, position, files, blocks } = known;
    const handle = this.#handleOf(join(this.#folder, run, file));
    if (handle === undefined) return undefined;
    this.#used.add(run);
    return {
      file: { digest, size },
      count: { files, blocks },
      source: { path: `/proc/self/fd/${handle}`, position },
    };
  }

  /** Whether what was found of it is still as it was kept; what is not is found no more. */
  isIntact({ narHash }: Pick<KeptNar, 'narHash'>): boolean {
    const known = this.#known.get(narHash);
    const handle = known && this.#open.get(join(this.#folder, known.run, known.file));
    if (known !== undefined && handle !== undefined && isIntact(handle, known)) return true;
    this.#known.delete(narHash);
    return false;
  }

  /** What a NAR is made of, where that is all that is asked. */
  count({ narHash, narSize }: { readonly narHash: string; readonly narSize: number }): NarCount | undefined {
    const known = this.#known.get(narHash);
    if (known === undefined || known.narSize !== narSize) return undefined;
    this.#used.add(known.run);
    return { files: known.files, blocks: known.blocks };
  }

  /** A folder for what this run compresses; it is kept if `keep` was told of something. */
  async place(): Promise<string> {
    this.#staging ??= makeStaging(this.#folder, this.#warn);
    const place = join((await this.#staging).path, 'run');
    await mkdir(place, { recursive: true });
    return place;
  }

  /** @param nar lies in the folder that `place` has given */
  keep(nar: KeptNar): void {
    this.#made.push(nar);
  }

  /** Nothing of this run is kept. What was compressed stays where it is until the end. @param error what the folder’s disk has said */
  abandon(error: unknown): void {
    const isFull = hasErrno(error, 'ENOSPC', 'EDQUOT');
    const why = isFull
      ? `there is no space in ${this.#folder}`
      : `${this.#folder} cannot be used: ${messageOf(error)}`;
    this.#warn(`note: nothing is kept for the next build: ${why}`);
    this.#made.length = 0;
  }

  /** Once, when all that was found and placed has been used. What can't be kept is no fault of the build's. */
  async close(): Promise<void> {
    for (const handle of this.#open.values()) closeSync(handle);
    this.#open.clear();
    try {
      await this.#keepMade();
      const now = new Date();
      // Another build may have let it give way.
      for (const run of this.#used)
        await utimes(join(this.#folder, run, keptList), now, now).catch(() => undefined);
      await this.#prune();
    } catch (error) {
      this.#warn(`note: only part of this is kept for the next build: ${messageOf(error)}`);
    } finally {
      const staging = await this.#staging?.catch(() => undefined);
      await staging?.clear();
    }
  }

  async #keepMade(): Promise<void> {
    if (this.#staging === undefined || this.#made.length === 0) return;
    const place = await this.place();
    // Last: a run with a list is whole, as far as a power cut has let it be.
    await writeWhole(join(place, keptList), encodeKeptList(this.#made));
    await rename(place, join(this.#folder, randomBytes(16).toString('hex')));
  }

  async #runs(): Promise<string[]> {
    return (await namesIn(this.#folder)).filter((name) => /^[0-9a-f]{32}$/.test(name));
  }

  async #read(run: string): Promise<void> {
    // Another build has let it give way, or it can't be read: then it gives way in its turn.
    const unreadable = insteadOf(['ENOENT', 'ENOTDIR', 'EACCES', 'EIO'], '');
    const text = await readFile(join(this.#folder, run, keptList), 'utf8').catch(unreadable);
    for (const nar of readKeptList(text) ?? []) this.#known.set(nar.narHash, { ...nar, run });
  }

  #handleOf(path: string): number | undefined {
    const known = this.#open.get(path);
    if (known !== undefined) return known;
    try {
      const handle = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
      this.#open.set(path, handle);
      return handle;
    } catch {
      return undefined;
    }
  }

  async #prune(): Promise<void> {
    const runs: { name: string; bytes: number; usedAt: number }[] = [];
    for (const name of await this.#runs()) runs.push({ name, ...(await measure(join(this.#folder, name))) });
    let [bytes, count] = [runs.reduce((sum, run) => sum + run.bytes, 0), runs.length];
    const most = Math.min(this.#mostBytes, await bound(this.#folder, bytes));
    for (const run of runs.toSorted((a, b) => a.usedAt - b.usedAt)) {
      if (bytes <= most && count <= mostRuns) return;
      await rm(join(this.#folder, run.name), { recursive: true, force: true });
      [bytes, count] = [bytes - run.bytes, count - 1];
    }
  }
}

/** At most half of what is free without it: the desk's disk is for other things as well. */
async function bound(folder: string, kept: number): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return (bavail * bsize + kept) / 2;
}

async function measure(run: string): Promise<{ bytes: number; usedAt: number }> {
  let [bytes, usedAt] = [0, 0];
  for (const name of await readdir(run).catch(() => [])) {
    const stat = await lstat(join(run, name)).catch(() => undefined);
    bytes += stat?.size ?? 0;
    if (name === keptList) usedAt = stat?.mtimeMs ?? 0;
  }
  return { bytes, usedAt };
}

/** Read synchronously: thousands of small ones lie in one file. */
function isIntact(handle: number, { position, size, digest }: KeptNar): boolean {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, size));
  for (let done = 0; done < size; ) {
    const read = readSomeSync(
      handle,
      buffer.subarray(0, Math.min(buffer.length, size - done)),
      position + done,
    );
    if (read === 0) return false;
    hash.update(buffer.subarray(0, read));
    done += read;
  }
  return encodeNix32(hash.digest()) === digest;
}

/** @returns 0 at the end, and where the disk can't read it, or another desk has deleted it on the server that both use */
function readSomeSync(handle: number, buffer: Buffer, position: number): number {
  try {
    return readSync(handle, buffer, 0, buffer.length, position);
  } catch (error) {
    if (hasErrno(error, 'EIO', 'EREMOTEIO', 'ESTALE')) return 0;
    throw error;
  }
}
