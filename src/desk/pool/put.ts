/**
 * `put`: bundles of many hosts into one pool on a medium. Each host is done or not begun: its members are written, flushed
 * and read back before its manifest gets its name, so a medium that is pulled out midway serves every host before it.
 */
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { readMember } from '../../bundle/contents.ts';
import { readHeadFiles } from '../../bundle/head-files.ts';
import { cacheOf, hostsOf, placeOf } from '../../bundle/pool.ts';
import {
  completeEntry,
  hasContents,
  hasSize,
  prepareEntry,
  publishEntry,
  writeMemberFile,
} from '../../bundle/pool-write.ts';
import type { Manifest, Member } from '../../core/bundle/manifest.ts';
import { NixmakerError } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import type { ProcessRunner } from '../../core/ports.ts';
import { asMediumError } from '../../media/deliver.ts';
import { runProgram } from '../../process/run.ts';
import { manifestDigest } from '../../signing/verify.ts';
import { PoolMedium } from './pool-medium.ts';
import { type Item, openItem } from './put-item.ts';

export interface PutOptions {
  readonly medium: string;
  readonly bundles: readonly string[];
  /** Sequences kept of each host that is put. */
  readonly keep: number;
  /** Bytes of the largest file; FAT32's limit unless told otherwise. */
  readonly largest?: number;
}

export interface PutProgress {
  readonly host: string;
  readonly phase: 'copying' | 'flushing' | 'reading back';
  /** Bytes of all hosts together: each byte that is written counts again when it is read back. */
  readonly done: number;
  readonly total: number;
}

export interface PutHost {
  readonly host: string;
  readonly sequence: number;
  /** `older`: the medium has a higher sequence of this host already. */
  readonly status: 'written' | 'there' | 'older';
  /** Members written, and their bytes; the others were there. */
  readonly members: number;
  readonly bytes: number;
}

export interface PutResult {
  readonly hosts: readonly PutHost[];
  /** Entries of older sequences that were taken away. */
  readonly pruned: number;
  /** Files no manifest named any more. */
  readonly collected: number;
  readonly notices: readonly string[];
}

/** Room that is left for the file system itself. Bytes. */
const spare = 1024 * 1024;

/** @throws NixmakerError the bundle's own codes, `sequence-conflict`, `no-space`, `medium-failing` */
export async function putBundles(
  options: PutOptions,
  onProgress: (progress: PutProgress) => void = () => undefined,
  run: ProcessRunner = runProgram,
): Promise<PutResult> {
  const { medium } = options;
  const items: Item[] = [];
  try {
    for (const path of options.bundles) items.push(await openItem(path));
    items.sort((a, b) => (a.manifest.host < b.manifest.host ? -1 : 1));
    const pool = await PoolMedium.open(run, medium);
    return await new Put({ pool, options, onProgress }, items).execute();
  } catch (error) {
    throw asMediumError(error, medium);
  } finally {
    for (const item of items) await item.close();
  }
}

interface Context {
  readonly pool: PoolMedium;
  readonly options: PutOptions;
  readonly onProgress: (progress: PutProgress) => void;
}

/** A member and what is known of the medium's copy of it. */
interface Planned {
  readonly member: Member;
  readonly path: string;
  write: boolean;
}

class Put {
  readonly #context: Context;
  readonly #items: readonly Item[];
  /** Members that this run has written or read back already, by path. */
  readonly #good = new Set<string>();
  #done = 0;
  #total = 0;

  constructor(context: Context, items: readonly Item[]) {
    this.#context = context;
    this.#items = items;
  }

  async execute(): Promise<PutResult> {
    const { pool, options } = this.#context;
    // Leavings of a run that was cut off would count as full space.
    let collected = await pool.collectGarbage();
    pool.refuseCaseTwins(this.#items.map((i) => i.manifest.host));
    const wanted: Item[] = [];
    const hosts: PutHost[] = [];
    for (const item of this.#items) {
      const { host, sequence } = item.manifest;
      if (pool.newest(host) > sequence) hosts.push({ host, sequence, status: 'older', members: 0, bytes: 0 });
      else wanted.push(item);
    }
    await this.#checkRoom(wanted);
    for (const item of wanted) hosts.push(await this.#putOne(item));
    const pruned = await pool.prune(new Set(wanted.map((i) => i.manifest.host)), options.keep);
    collected += await pool.collectGarbage();
    await pool.flush();
    return { hosts, pruned, collected, notices: pool.notices };
  }

  /** What has to be written, told by size; what is there is read back later, and written if it is not what it should be. */
  async #plan({ manifest }: Item, beside: ReadonlyMap<string, Uint8Array>): Promise<Planned[]> {
    const { medium } = this.#context.options;
    const folder = folderOf(medium, manifest);
    const shared = manifest.members.filter(({ name }) => name !== 'meta' && !beside.has(name));
    const planned: Planned[] = [];
    for (const member of shared) {
      const path = placeOf(folder, member, new Set());
      planned.push({ member, path, write: !this.#good.has(path) && !(await hasSize(path, member)) });
    }
    return planned;
  }

  async #checkRoom(items: readonly Item[]): Promise<void> {
    const { medium } = this.#context.options;
    const { bavail, bsize } = await statfs(medium);
    const rounded = (size: number) => Math.ceil(size / bsize) * bsize;
    const seen = new Set<string>();
    let needed = spare;
    for (const item of items) {
      needed += rounded(item.head.manifestBytes.length) + 3 * bsize;
      for (const { member, path, write } of await this.#plan(item, new Map())) {
        if (seen.has(path)) continue;
        seen.add(path);
        this.#total += member.size * (write ? 2 : 1);
        if (write) needed += rounded(member.size);
      }
    }
    if (needed > bavail * bsize) {
      throw new NixmakerError(
        'medium-full',
        `${needed} bytes are needed on ${medium}, ${bavail * bsize} are free`,
      );
    }
  }

  async #putOne(item: Item): Promise<PutHost> {
    const { pool, options } = this.#context;
    const { medium } = options;
    const { manifest, head, bundle } = item;
    const { host, sequence } = manifest;
    const flush = () => {
      this.#tell(host, 'flushing', 0);
      return pool.flush();
    };
    const folder = folderOf(medium, manifest);
    const there = await readHeadFiles(folder);
    if (there !== undefined && manifestDigest(there.manifestBytes) !== manifestDigest(head.manifestBytes))
      throw new NixmakerError(
        'sequence-conflict',
        `the medium has ${host}, sequence ${sequence}, with other contents`,
      );
    const beside = await this.#narinfosBeside(item);
    const planned = await this.#plan(item, beside);
    let written = await this.#write(item, planned);
    await flush();
    written += await this.#readBack(item, planned);
    const meta = await readMember(bundle, manifest.members[0] as Member);
    const files = { ...head, meta, beside };
    if (there !== undefined) await completeEntry(folder, files);
    else {
      const temporary = await prepareEntry(folder, files);
      await flush();
      await publishEntry(temporary, folder);
      pool.add(manifest);
    }
    await flush();
    const bytes = planned.reduce((sum, p) => sum + (p.write ? p.member.size : 0), 0);
    const status = there === undefined || written > 0 ? 'written' : 'there';
    return { host, sequence, status, members: written, bytes };
  }

  /** Narinfos of which another manifest in the pool needs other bytes under the same name (another signer's). */
  async #narinfosBeside({ manifest, bundle }: Item): Promise<Map<string, Uint8Array>> {
    const { medium } = this.#context.options;
    const narinfos = manifest.members.filter(({ name }) => name.endsWith('.narinfo'));
    const needed = this.#context.pool.digestsBeside({ ...manifest, members: narinfos });
    const beside = new Map<string, Uint8Array>();
    for (const member of narinfos) {
      const digests = needed.get(member.name);
      if (digests === undefined || (digests.size === 1 && digests.has(member.sha256))) continue;
      const path = join(cacheOf(medium), member.name);
      if (!(await hasContents(path, member))) beside.set(member.name, await readMember(bundle, member));
    }
    return beside;
  }

  async #write({ manifest, bundle }: Item, planned: readonly Planned[]): Promise<number> {
    const { largest } = this.#context.options;
    let written = 0;
    for (const { member, path, write } of planned) {
      if (!write) continue;
      const onBytes = (bytes: number) => this.#tell(manifest.host, 'copying', bytes);
      await writeMemberFile(path, { bundle, member }, given({ onBytes, largest }));
      written += 1;
    }
    return written;
  }

  /**
   * What the medium gives back, not what the kernel remembers of it.
   * @returns how many members had been there and were not what they should be
   */
  async #readBack({ manifest, bundle }: Item, planned: readonly Planned[]): Promise<number> {
    const { pool, options } = this.#context;
    const { largest, medium } = options;
    const fresh = planned.filter(({ path }) => !this.#good.has(path));
    await pool.forget(fresh);
    let rewritten = 0;
    for (const plan of fresh) {
      const { member, path } = plan;
      const onBytes = (bytes: number) => this.#tell(manifest.host, 'reading back', bytes);
      if (!(await hasContents(path, member, onBytes))) {
        if (plan.write)
          throw new NixmakerError('medium-failing', `${path} does not read back as it was written`);
        await writeMemberFile(path, { bundle, member }, given({ largest }));
        await pool.flush();
        await pool.forget([plan]);
        if (!(await hasContents(path, member)))
          throw new NixmakerError('medium-failing', `${path} does not read back as it was written`);
        pool.notices.push(
          `${path.slice(medium.length + 1)} was damaged on the medium and has been written again.`,
        );
        plan.write = true;
        rewritten += 1;
      }
      this.#good.add(path);
    }
    return rewritten;
  }

  #tell(host: string, phase: PutProgress['phase'], bytes: number): void {
    this.#done += bytes;
    this.#context.onProgress({ host, phase, done: this.#done, total: this.#total });
  }
}

const folderOf = (medium: string, { host, sequence }: Manifest) =>
  join(hostsOf(medium), host, String(sequence));
