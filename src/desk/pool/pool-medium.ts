/** A medium with a pool on it, as `put` works on it: what it holds, flushing, forgetting, clearing away. */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readHeadFiles } from '../../bundle/head-files.ts';
import { cacheOf, hostsOf, listPool, type PoolEntry } from '../../bundle/pool.ts';
import { type Listed, PoolIndex } from '../../bundle/pool-index.ts';
import { collectGarbage, entriesToPrune, removeEntry } from '../../bundle/pool-prune.ts';
import type { Manifest, Member } from '../../core/bundle/manifest.ts';
import { listMembers } from '../../core/bundle/manifest-glance.ts';
import { complaintOf } from '../../core/complaint.ts';
import { NixmakerError } from '../../core/errors.ts';
import type { ProcessRunner } from '../../core/ports.ts';
import { isFolder } from '../../files/read.ts';

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
      `The manifest of ${first.host}, sequence ${first.sequence}, can’t be read, so nothing old was deleted.`,
    );
  }

  /** Makes the pool's folders where they are missing. @throws NixmakerError `usage` */
  static async open(run: ProcessRunner, root: string): Promise<PoolMedium> {
    if (!(await isFolder(root))) throw new NixmakerError('usage', `${root} is not a folder`);
    await mkdir(hostsOf(root), { recursive: true });
    await mkdir(join(cacheOf(root), 'nar'), { recursive: true });
    return new PoolMedium({ run, root }, await readManifests(root));
  }

  /** The highest sequence of a host; 0 where there is none. */
  newest(host: string): number {
    return this.#index.newest(host);
  }

  add(manifest: Manifest): void {
    this.#index.add(manifest);
  }

  /** FAT and exFAT tell no upper from lower case: two such hosts would share a folder. @throws NixmakerError */
  refuseCaseTwins(hosts: readonly string[]): void {
    const byLower = new Map<string, string>();
    for (const host of [...this.#index.hosts(), ...hosts]) {
      const twin = byLower.get(host.toLowerCase());
      if (twin !== undefined && twin !== host)
        throw new NixmakerError(
          'host-name-unusable',
          `“${twin}” and “${host}” would be one folder on a FAT medium`,
        );
      byLower.set(host.toLowerCase(), host);
    }
  }

  /** The digests under which the other manifests of the pool name each of these members of this one. */
  digestsBeside(manifest: Listed): Map<string, ReadonlySet<string>> {
    return this.#index.digestsBeside(manifest);
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

  /** @returns how many members went that no manifest names */
  async collectGarbage(): Promise<number> {
    return this.#unreadable.length > 0 ? 0 : collectGarbage(this.#root, this.#index);
  }

  /** @throws NixmakerError `medium-failing` */
  async flush(): Promise<void> {
    const result = await this.#run('sync', ['--file-system', this.#root]);
    if (result.exitCode === 0) return;
    const said = complaintOf(result, `sync ended with ${result.exitCode}`);
    throw new NixmakerError('medium-failing', `${this.#root} can’t be flushed: ${said}`);
  }

  /**
   * Has the kernel drop what it keeps of the files (posix_fadvise(2), which dd(1) can ask for), so that they are read
   * from the medium. Small ones are not worth a process each: what fails on a medium fails on large ones, too.
   */
  async forget(files: readonly { readonly path: string; readonly member: Member }[]): Promise<void> {
    const quiet = ['iflag=nocache', 'count=0', 'status=none'];
    for (const { path, member } of files)
      if (member.size >= 64 * 1024) await this.#run('dd', [`if=${path}`, ...quiet]);
  }
}

async function readManifests(root: string): Promise<{ index: PoolIndex; unreadable: PoolEntry[] }> {
  const index = new PoolIndex();
  const unreadable: PoolEntry[] = [];
  for (const entry of await listPool(root)) {
    try {
      const head = await readHeadFiles(entry.folder);
      // Under the name of its place: a folder that somebody has copied must not take another's members away.
      if (head !== undefined)
        index.add({ ...entry, members: listMembers(head.manifestBytes.toString('utf8')) });
    } catch (error) {
      if (!(error instanceof NixmakerError)) throw error;
      unreadable.push(entry);
    }
  }
  return { index, unreadable };
}
