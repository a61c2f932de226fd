/** A medium with a pool on it, as `put` works on it: what it holds, flushing, forgetting, clearing away. */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readSmall } from '../../bundle/file.ts';
import { readHeadFiles } from '../../bundle/head-files.ts';
import {
  cacheOf,
  hostsOf,
  indexName,
  listPool,
  nixSignaturesName,
  type PoolEntry,
} from '../../bundle/pool.ts';
import { PoolIndex } from '../../bundle/pool-index.ts';
import { collectGarbage, entriesToPrune, removeEntry } from '../../bundle/pool-prune.ts';
import { complaintOf } from '../../core/complaint.ts';
import { NixmakerError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import type { ProcessRunner } from '../../core/ports.ts';
import { namesInContents } from '../../core/release/contents-file.ts';
import type { Manifest } from '../../core/release/manifest.ts';
import { readManifest } from '../../signing/verify.ts';

export class PoolMedium {
  readonly #run: ProcessRunner;
  readonly #root: string;
  readonly #index: PoolIndex;
  readonly #unreadable: readonly PoolEntry[];
  /** What a person should read although all went well. */
  readonly notices: string[] = [];

  private constructor(
    { run, root }: { run: ProcessRunner; root: string },
    { index, unreadable }: { index: PoolIndex; unreadable: readonly PoolEntry[] },
  ) {
    this.#run = run;
    this.#root = root;
    this.#index = index;
    this.#unreadable = unreadable;
    const [first] = unreadable;
    if (first === undefined) return;
    this.notices.push(
      `What ${first.host}, sequence ${first.sequence}, needs cannot be read, so no old files were deleted.`,
    );
  }

  /** Makes the pool's folders where they are missing. */
  static async open(run: ProcessRunner, root: string): Promise<PoolMedium> {
    await mkdir(hostsOf(root), { recursive: true });
    await mkdir(join(cacheOf(root), 'index'), { recursive: true });
    return new PoolMedium({ run, root }, await readEntries(root));
  }

  /** The highest sequence of a host; 0 where there is none. */
  newest(host: string): number {
    return this.#index.newest(host);
  }

  /** @param contents as they are on the medium now */
  add(manifest: Manifest, contents: Uint8Array): void {
    this.#index.add({ ...manifest, needs: needsOf(manifest, contents) });
  }

  /** FAT and exFAT tell no upper from lower case: two such hosts would share a folder. @throws NixmakerError */
  refuseCaseTwins(hosts: readonly string[]): void {
    const byLower = new Map<string, string>();
    for (const host of [...this.#index.hosts(), ...hosts]) {
      const twin = byLower.get(host.toLowerCase());
      if (twin !== undefined && twin !== host)
        throw new NixmakerError(
          'host-name-unusable',
          `“${twin}” and “${host}” would share one folder on a FAT medium`,
        );
      byLower.set(host.toLowerCase(), host);
    }
  }

  /** Takes away all but the newest sequences of these hosts. @returns how many went */
  async prune(hosts: ReadonlySet<string>, keep: number): Promise<number> {
    let pruned = 0;
    for (const host of hosts) {
      for (const entry of entriesToPrune(await listPool(this.#root, host), host, keep)) {
        await removeEntry(entry);
        this.#index.remove(entry);
        pruned += 1;
      }
    }
    return pruned;
  }

  /** @returns how many files went that no entry needs */
  async collectGarbage(): Promise<number> {
    return this.#unreadable.length > 0 ? 0 : collectGarbage(this.#root, this.#index);
  }

  /** @throws NixmakerError `medium-failing` */
  async flush(): Promise<void> {
    const result = await this.#run('sync', ['--file-system', this.#root]);
    if (result.exitCode === 0) return;
    const said = complaintOf(result, `sync exited with ${result.exitCode}`);
    throw new NixmakerError('medium-failing', `cannot flush ${this.#root}: ${said}`);
  }

  /**
   * Has the kernel drop what it keeps of the files (posix_fadvise(2), which dd(1) can ask for), so that they are read
   * from the medium. Small ones are not worth a process each: what fails on a medium fails on large ones, too.
   */
  async forget(files: readonly { readonly path: string; readonly size: number }[]): Promise<void> {
    const quiet = ['iflag=nocache', 'count=0', 'status=none'];
    for (const { path, size } of files)
      if (size >= 64 * 1024) await this.#run('dd', [`if=${path}`, ...quiet]);
  }
}

async function readEntries(root: string): Promise<{ index: PoolIndex; unreadable: PoolEntry[] }> {
  const index = new PoolIndex();
  const unreadable: PoolEntry[] = [];
  for (const entry of await listPool(root)) {
    try {
      const head = await readHeadFiles(entry.folder);
      if (head === undefined) continue;
      const contents = await readSmall(join(entry.folder, 'contents'), limits.contentsBytes);
      // Under the name of its place: a folder that somebody has copied must not take another's files away.
      index.add({ ...entry, needs: needsOf(readManifest(head.manifestBytes), contents ?? Buffer.alloc(0)) });
    } catch (error) {
      if (!(error instanceof NixmakerError)) throw error;
      unreadable.push(entry);
    }
  }
  return { index, unreadable };
}

/** Names below `cache/`. @throws NixmakerError `bundle-malformed` */
const needsOf = (manifest: Manifest, contents: Uint8Array): Iterable<string> => [
  indexName(manifest),
  nixSignaturesName(manifest),
  ...namesInContents(contents),
];
