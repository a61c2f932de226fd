/**
 * What earlier builds compressed, kept at the desk, so that a release costs only what changed. For each NAR, by its own hash: the
 * compressed bytes and what it is made of. Each run that compressed something leaves a folder, complete or not at all, and the folders
 * unused for longest are deleted first.
 *
 * Threat: a disk that flips bits, and another user's folder. A piece is hashed while it is written into a bundle, and anything
 * altered is compressed again; a folder that isn't this user's own, or that others may write to, is not used.
 */
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, constants, openSync, readSync, statSync } from 'node:fs';
import { lstat, mkdir, readdir, readFile, rename, rm, stat, statfs, utimes } from 'node:fs/promises';
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
import type { PublicKey } from '../../signing/nix-key.ts';
import type { CachedFile } from './cache-folder.ts';
import { encodeKeptList, type KeptNar, keptList, piecesFile, readKeptList } from './kept-list.ts';
import { KeptSignatures } from './kept-signatures.ts';
import { makeStaging, type Staging } from './staging.ts';

/** For everything together. Bytes; less if the file system has little room (see `bound`). */
const mostBytes = 20 * 1024 ** 3;
/** Runs whose folders are kept: each list is read on every build. */
const mostRuns = 200;
const chunkBytes = 1024 * 1024;

/**
 * Our part of the user's cache folder (XDG Base Directory Specification); undefined for a user without a home, as in a container.
 * sudo(8) may leave root with the caller's home, and its owner could no longer use what root made there. Like Nix, root therefore
 * uses its own (Nix src/libutil/unix/users.cc).
 */
export function narCacheFolder(environment: NodeJS.ProcessEnv, home = homedir): string | undefined {
  const { XDG_CACHE_HOME: base = '' } = environment;
  // Relative paths are ignored, as the specification says.
  if (base.startsWith('/') && !isAnothers(base)) return join(base, 'nixmaker', 'nars');
  try {
    const own = home();
    return join(isAnothers(own) ? userInfo().homedir : own, '.cache', 'nixmaker', 'nars');
  } catch {
    return undefined;
  }
}

/** Other users can't create anything in a folder they don't own. */
function isAnothers(folder: string): boolean {
  const owner = statSync(folder, { throwIfNoEntry: false })?.uid ?? 0;
  return process.geteuid?.() === 0 && owner !== 0;
}

/** Threat: others put into it what we then build from. The same rule as sshd’s for a user’s files (sshd_config(5), StrictModes). */
async function whyNotOurs(folder: string): Promise<string | undefined> {
  const [itself, target] = [await lstat(folder), await stat(folder)];
  const own = process.geteuid?.();
  if (itself.uid !== own || target.uid !== own) return 'it belongs to another user';
  const isShared = (target.mode & 0o022) !== 0;
  return isShared ? `others can write to it (if nobody has: chmod -R go-w ${folder})` : undefined;
}

/** What is kept for a NAR, used in its place. */
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
  /** Open files: another build may delete their names in the meantime, but not what is being read. */
  readonly #open = new Map<string, number>();
  readonly #used = new Set<string>();
  readonly #made: KeptNar[] = [];
  #staging: Promise<Staging> | undefined;
  #signatures: KeptSignatures | undefined;

  private constructor(folder: string, warn: (text: string) => void, most: number) {
    this.#folder = folder;
    this.#warn = warn;
    this.#mostBytes = most;
  }

  /**
   * @param folder created if missing @param warn is told why there is none, or why something could not be kept
   * @param most bytes, for the tests @returns undefined if there is none: the build goes on without
   */
  static async open(
    folder: string,
    warn: (text: string) => void,
    most = mostBytes,
  ): Promise<NarCache | undefined> {
    try {
      await makeFolders(folder);
      const whyNot = await whyNotOurs(folder);
      if (whyNot !== undefined) throw new Error(whyNot);
      const cache = new NarCache(folder, warn, most);
      for (const run of await cache.#runs()) await cache.#read(run);
      return cache;
    } catch (error) {
      warn(`note: nothing is kept for the next build: ${folder} cannot be used: ${messageOf(error)}`);
      return undefined;
    }
  }

  /** Its bytes are unchecked: whoever uses them compares the digest. @returns undefined if nothing is kept for it */
  find({ narHash, narSize }: { readonly narHash: string; readonly narSize: number }): FoundNar | undefined {
    const known = this.#known.get(narHash);
    if (known === undefined || known.narSize !== narSize) return undefined;
    const { run, file, digest, size, sum, position } = known;
    const handle = this.#handleOf(join(this.#folder, run, file));
    if (handle === undefined) return undefined;
    this.#used.add(run);
    return {
      file: { digest, size },
      count: countOf(known),
      // One in a file of its own can be cloned onto a medium.
      source: { path: `/proc/self/fd/${handle}`, sum, ...(file === piecesFile ? { position } : {}) },
    };
  }

  /** Whether what was found is still as it was kept; if not, it is no longer found. */
  isIntact({ narHash }: Pick<KeptNar, 'narHash'>): boolean {
    const known = this.#known.get(narHash);
    const handle = known && this.#open.get(join(this.#folder, known.run, known.file));
    if (known !== undefined && handle !== undefined && isIntact(handle, known)) return true;
    this.#known.delete(narHash);
    return false;
  }

  /** What a NAR is made of, when nothing else is needed. */
  count({ narHash, narSize }: { readonly narHash: string; readonly narSize: number }): NarCount | undefined {
    const known = this.#known.get(narHash);
    if (known === undefined || known.narSize !== narSize) return undefined;
    this.#used.add(known.run);
    return countOf(known);
  }

  /** What earlier builds signed with this key. @returns undefined if there is something in its place that can’t be read */
  async signaturesOf(key: PublicKey): Promise<KeptSignatures | undefined> {
    this.#signatures = await KeptSignatures.open(this.#folder, key).catch((error) => this.#regret(error));
    return this.#signatures;
  }

  /** A folder for what this run compresses; kept if `keep` was told of anything. */
  async place(): Promise<string> {
    this.#staging ??= makeStaging(this.#folder, this.#warn);
    const place = join((await this.#staging).path, 'run');
    // Whatever the umask lets others do with the files in it.
    await mkdir(place, { recursive: true, mode: 0o700 });
    return place;
  }

  /** @param nar is in the folder returned by `place` */
  keep(nar: KeptNar): void {
    this.#made.push(nar);
  }

  /** Nothing from this run is kept. What was compressed stays in place until the end. @param error the disk’s error */
  abandon(error: unknown): void {
    const isFull = hasErrno(error, 'ENOSPC', 'EDQUOT');
    const why = isFull
      ? `there is no space in ${this.#folder}`
      : `${this.#folder} cannot be used: ${messageOf(error)}`;
    this.#warn(`note: nothing is kept for the next build: ${why}`);
    this.#made.length = 0;
  }

  /** Once everything found and placed has been used. Failing to keep something is not the build's fault. */
  async close(): Promise<void> {
    for (const handle of this.#open.values()) closeSync(handle);
    this.#open.clear();
    await this.#keepMade().catch((error) => this.#regret(error));
    await this.#signatures?.close().catch((error) => this.#regret(error));
    const now = new Date();
    // Another build may have deleted it.
    for (const run of this.#used)
      await utimes(join(this.#folder, run, keptList), now, now).catch(() => undefined);
    // Above all where there was no room for what is new.
    await this.#prune().catch((error) => this.#regret(error));
    const staging = await this.#staging?.catch(() => undefined);
    await staging?.clear();
  }

  #regret(error: unknown): undefined {
    this.#warn(`note: only part of this is kept for the next build: ${this.#folder}: ${messageOf(error)}`);
  }

  async #keepMade(): Promise<void> {
    if (this.#staging === undefined || this.#made.length === 0) return;
    const place = await this.place();
    // Last: a run with a list is complete, as far as a power cut allows.
    await writeWhole(join(place, keptList), encodeKeptList(this.#made));
    await rename(place, join(this.#folder, randomBytes(16).toString('hex')));
  }

  async #runs(): Promise<string[]> {
    return (await namesIn(this.#folder)).filter((name) => /^[0-9a-f]{32}$/.test(name));
  }

  async #read(run: string): Promise<void> {
    // Another build has deleted it, it can't be read, or an earlier build let others write to it: then it is deleted in its turn.
    const unreadable = insteadOf(['ENOENT', 'ENOTDIR', 'EACCES', 'EIO'], '');
    const place = join(this.#folder, run);
    if ((await whyNotOurs(place).catch(unreadable)) !== undefined) return;
    const text = await readFile(join(place, keptList), 'utf8').catch(unreadable);
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

const countOf = ({ files, blocks, expressions }: KeptNar): NarCount => ({ files, blocks, expressions });

/** At most half of what is otherwise free: the desk's disk has other uses too. */
async function bound(folder: string, kept: number): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return (bavail * bsize + kept) / 2;
}

async function measure(run: string): Promise<{ bytes: number; usedAt: number }> {
  let [bytes, usedAt] = [0, 0];
  for (const name of await readdir(run).catch(() => [])) {
    const found = await lstat(join(run, name)).catch(() => undefined);
    bytes += found?.size ?? 0;
    if (name === keptList) usedAt = found?.mtimeMs ?? 0;
  }
  return { bytes, usedAt };
}

/** Read synchronously: one file holds thousands of small ones. */
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

/** @returns 0 at the end, and if the disk can't read it, or another desk has deleted it on a server that both use */
function readSomeSync(handle: number, buffer: Buffer, position: number): number {
  try {
    return readSync(handle, buffer, 0, buffer.length, position);
  } catch (error) {
    if (hasErrno(error, 'EIO', 'EREMOTEIO', 'ESTALE')) return 0;
    throw error;
  }
}
