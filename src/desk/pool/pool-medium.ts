/** A medium with a pool, as `put` works on it: what it holds for some hosts, flushing, dropping caches, cleaning up. */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheOf, hostFolders, hostsOf, listPool, lockOf, type PoolEntry } from '../../bundle/pool.ts';
import { collectGarbage, entriesToPrune, removeEntry } from '../../bundle/pool-prune.ts';
import { encodeSequences, sequencesFile } from '../../core/bundle/pool-paths.ts';
import { complaintOf } from '../../core/complaint.ts';
import { NixmakerError } from '../../core/errors.ts';
import type { ProcessRunner } from '../../core/ports.ts';
import { canReadPastCache } from '../../files/past-cache.ts';
import { writeBeside } from '../../files/write.ts';
import { isUsable, readNeeded } from './needed.ts';

/** What is worth reading from the medium rather than from the kernel’s cache. Bytes. */
const worthForgetting = 64 * 1024;

/** Names per process, far below the kernel’s limit (execve(2), “Limits on size of arguments”). */
const namesAtOnce = 200;

/** dd(1) can call posix_fadvise(2), for one file; a shell starts it faster than we could. */
const forgetAll = 'for file do dd "if=$file" iflag=nocache count=0 status=none; done';

/**
 * For other hosts only folder names are read, so that adding one host costs the same beside a thousand. What they need is
 * read by `clear` alone, and there in full.
 */
export class PoolMedium {
  readonly #run: ProcessRunner;
  readonly #root: string;
  #hosts: readonly string[] | undefined;
  #readsPast: Promise<boolean> | undefined;
  /** What a person should read although all went well. */
  readonly notices: string[] = [];

  private constructor(run: ProcessRunner, root: string) {
    this.#run = run;
    this.#root = root;
  }

  /** Creates the pool's folders if missing. */
  static async open(run: ProcessRunner, root: string): Promise<PoolMedium> {
    await mkdir(hostsOf(root), { recursive: true });
    await mkdir(join(cacheOf(root), 'index'), { recursive: true });
    return new PoolMedium(run, root);
  }

  /** Hosts that had a folder when first asked. */
  async hosts(): Promise<readonly string[]> {
    this.#hosts ??= await hostFolders(this.#root);
    return this.#hosts;
  }

  /** A host’s highest sequence that is usable as it is; 0 if there is none. */
  async newest(host: string): Promise<number> {
    for (const entry of await listPool(this.#root, host)) if (await isUsable(entry)) return entry.sequence;
    return 0;
  }

  /** FAT and exFAT ignore case: two such hosts would share a folder. @throws NixmakerError */
  async refuseCaseTwins(hosts: readonly string[]): Promise<void> {
    const byLower = new Map<string, string>();
    for (const host of hosts) {
      const other = byLower.get(host.toLowerCase());
      if (other !== undefined && other !== host) throw twins(other, host);
      byLower.set(host.toLowerCase(), host);
    }
    for (const other of await this.hosts()) {
      const host = byLower.get(other.toLowerCase());
      // A folder with no entries left is in nobody’s way.
      if (host !== undefined && host !== other && (await listPool(this.#root, other)).length > 0)
        throw twins(other, host);
    }
  }

  /** Deletes all but the newest sequences of these hosts. @returns how many were deleted */
  async prune(hosts: ReadonlySet<string>, keep: number): Promise<number> {
    let pruned = 0;
    for (const host of hosts) {
      const entries = await listPool(this.#root, host);
      for (const entry of entriesToPrune(entries, host, await withUnusable(entries, keep))) {
        await removeEntry(entry);
        pruned += 1;
      }
    }
    return pruned;
  }

  /** Web servers can’t say what a folder holds in any form that is theirs alone. */
  async listSequences(hosts: ReadonlySet<string>): Promise<void> {
    for (const host of hosts) {
      const entries = await listPool(this.#root, host);
      const text = encodeSequences(entries.map(({ sequence }) => sequence));
      await writeBeside(join(hostsOf(this.#root), host, sequencesFile), (out) => out.writeFile(text));
    }
  }

  /**
   * Deletes what no entry needs, after reading what each of them needs now. Nothing is deleted if that is unknown for any of them.
   * @returns how many files were deleted
   */
  async clear(): Promise<number> {
    const { names, unknown } = await readNeeded(this.#root);
    if (unknown === undefined) return collectGarbage(this.#root, names);
    const notice = `What ${unknown} needs cannot be read, so no old files were deleted.`;
    if (!this.notices.includes(notice)) this.notices.push(notice);
    return 0;
  }

  /** @throws NixmakerError `medium-failing` */
  async flush(): Promise<void> {
    const result = await this.#run('sync', ['--file-system', this.#root]);
    if (result.exitCode === 0) return;
    const said = complaintOf(result, `sync exited with ${result.exitCode}`);
    throw new NixmakerError('medium-failing', `cannot flush ${this.#root}: ${said}`);
  }

  /**
   * If files can’t be read around the kernel’s cache (files/past-cache.ts), it is asked to drop what it holds of them. Small ones are
   * not worth it: what fails on a medium also fails on large ones.
   */
  async forget(files: readonly { readonly path: string; readonly size: number }[]): Promise<void> {
    this.#readsPast ??= canReadPastCache(lockOf(this.#root));
    if (await this.#readsPast) return;
    const paths = files.filter(({ size }) => size >= worthForgetting).map(({ path }) => path);
    for (let i = 0; i < paths.length; i += namesAtOnce)
      await this.#run('/bin/sh', ['-c', forgetAll, 'forget', ...paths.slice(i, i + namesAtOnce)]);
  }
}

/**
 * How many of the newest have so many among them that can be used. Threat: an entry that is damaged takes the place of the only one that a
 * machine can take, and what was just written goes.
 */
async function withUnusable(newestFirst: readonly PoolEntry[], keep: number): Promise<number> {
  let usable = 0;
  for (const [i, entry] of newestFirst.entries()) {
    if (await isUsable(entry)) usable += 1;
    if (usable === keep) return i + 1;
  }
  return newestFirst.length;
}

const twins = (one: string, other: string): NixmakerError =>
  new NixmakerError('host-name-unusable', `“${one}” and “${other}” would share one folder on a FAT medium`);
