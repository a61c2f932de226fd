/**
 * `put`: bundles of many hosts into one pool on a medium. Each host is finished or not begun: its files are written, flushed
 * and read back before its manifest gets its name, so a medium pulled out midway serves every host before it.
 */
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { entryFiles, hostsOf, lockOf } from '../../bundle/pool.ts';
import { clearDrafts } from '../../bundle/pool-prune.ts';
import {
  completeEntry,
  type EntryFiles,
  findDamaged,
  prepareEntry,
  publishEntry,
} from '../../bundle/pool-write.ts';
import { naturally } from '../../core/alike.ts';
import { NixmakerError } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import type { ProcessRunner } from '../../core/ports.ts';
import { unlikeSizes } from '../../core/size.ts';
import { makeFolders } from '../../files/folder.ts';
import { holdsPastCache } from '../../files/past-cache.ts';
import { isFolder } from '../../files/read.ts';
import { inTurn } from '../../files/turn.ts';
import { asMediumError } from '../../media/deliver.ts';
import { holdProgram, runProgram } from '../../process/run.ts';
import { asFolderFull, requireFolderRoom } from './folder-room.ts';
import { PoolMedium } from './pool-medium.ts';
import { type Item, itemOf, onlyPart, openItem, withSbom } from './put-item.ts';
import type { PutHost, PutOptions, PutProgress, PutResult } from './put-options.ts';
import { type Plan, type Planned, planItem } from './put-plan.ts';

/** Bytes per file that are read once more at the end. */
const smallBytes = 4 * 1024 * 1024;

/** Room left for the file system itself. Bytes. */
const spare = 1024 * 1024;

/** @throws NixmakerError the bundle's own codes, `sequence-conflict`, `medium-full`, `folder-full`, `medium-failing`, `busy` */
export async function putBundles(
  options: PutOptions,
  onProgress: (progress: PutProgress) => void = () => undefined,
  run: ProcessRunner = runProgram,
): Promise<PutResult> {
  const { medium } = options;
  const items = (options.releases ?? []).map(itemOf);
  try {
    for (const path of options.bundles) items.push(await openItem(path));
    items.sort((a, b) => naturally(hostOf(a), hostOf(b)));
    if (!(await isFolder(medium)))
      throw new NixmakerError('no-medium', `${medium} is not a folder; is the medium mounted?`);
    await makeFolders(hostsOf(medium));
    // What another process has written but not yet given a manifest would look like garbage to us.
    const turn = given({ hold: holdProgram, file: lockOf(medium), verb: 'put', ...waiting(options) });
    return await inTurn(turn, async () => {
      const pool = await PoolMedium.open(run, medium);
      return new Put({ pool, options, onProgress }, chosenOf(items, options)).execute();
    });
  } catch (error) {
    throw asMediumError(await asFolderFull(error, medium), medium);
  } finally {
    for (const item of items) await item.close();
  }
}

/** All of them, or what this one of several media carries. */
const chosenOf = (items: readonly Item[], { partOf, sbom }: PutOptions): readonly Item[] =>
  items.flatMap((item) => {
    if (partOf === undefined) return [sbom === undefined ? item : withSbom(item, sbom)];
    const part = partOf(item.digest);
    return part === undefined ? [] : [onlyPart(item, part)];
  });

const wantsRoom: ReadonlySet<string> = new Set(['medium-full', 'folder-full']);

/** Hosts on the medium to be read, for each one put, to find what nobody needs. */
const hostsReadFor = 20;

const waiting = ({ onWait, patience }: PutOptions) => ({ onWait, patience });

interface Context {
  readonly pool: PoolMedium;
  readonly options: PutOptions;
  readonly onProgress: (progress: PutProgress) => void;
}

const hostOf = ({ bundle }: Item): string => bundle.manifest.host;

class Put {
  readonly #context: Context;
  readonly #items: readonly Item[];
  /** Files this run has already written or read back, by path. */
  readonly #good: Set<string>;
  /** What is checked once more at the end, by path: the last write counts. */
  readonly #samples = new Map<string, () => Promise<boolean>>();
  #done = 0;
  #total = 0;

  constructor(context: Context, items: readonly Item[]) {
    this.#context = context;
    this.#items = items;
    this.#good = context.options.good ?? new Set();
  }

  async execute(): Promise<PutResult> {
    const { pool, options } = this.#context;
    // Leftovers of an interrupted run would count as used space.
    await clearDrafts(options.medium);
    await pool.refuseCaseTwins(this.#items.map(hostOf));
    const wanted: Item[] = [];
    const hosts: PutHost[] = [];
    for (const item of this.#items) {
      const { host, sequence } = item.bundle.manifest;
      if ((await pool.newest(host)) > sequence)
        hosts.push({ host, sequence, status: 'older', files: 0, bytes: 0 });
      else wanted.push(item);
    }
    let collected = await this.#makeRoom(wanted);
    for (const item of wanted) hosts.push(await this.#putOne(item));
    await this.#lookAgain();
    const written = new Set(wanted.map(hostOf));
    const pruned = await pool.prune(written, options.keep);
    await pool.listSequences(written);
    collected += await this.#clearAfter(wanted.length, pruned);
    await pool.flush();
    return { hosts, pruned, collected, notices: pool.notices };
  }

  /** @returns how many unneeded files were deleted: they are looked for if there is no room otherwise */
  async #makeRoom(items: readonly Item[]): Promise<number> {
    try {
      await this.#checkRoom(items);
      return 0;
    } catch (error) {
      if (!(error instanceof NixmakerError) || !wantsRoom.has(error.code)) throw error;
      const collected = await this.#context.pool.clear();
      if (collected === 0) throw error;
      // The files deleted may be ones it was going to reuse.
      await this.#checkRoom(items);
      return collected;
    }
  }

  /** This reads all entries, so it is postponed while there are many more of them than were put. */
  async #clearAfter(hosts: number, pruned: number): Promise<number> {
    const { pool, options } = this.#context;
    const { clear, before = { hosts: [], pruned: 0 }, medium } = options;
    if (clear === false) return 0;
    const there = (await pool.hosts()).length;
    if (clear === true || there <= hostsReadFor * (hosts + before.hosts.length)) return pool.clear();
    if (pruned + before.pruned > 0)
      pool.notices.push(
        `Files that only older sequences needed were kept, because finding them means reading ${there} hosts. To delete them: nixmaker put --clear ${medium}`,
      );
    return 0;
  }

  async #checkRoom(items: readonly Item[]): Promise<void> {
    const { medium } = this.#context.options;
    this.#total = 0;
    const { bavail, bsize } = await statfs(medium);
    const rounded = (size: number) => Math.ceil(size / bsize) * bsize;
    const seen = new Set<string>();
    const folders: string[] = [];
    let needed = spare;
    for (const item of items) {
      // Only an estimate: what this run has put there counts as there. It is looked for when its host’s turn comes.
      const { files, entry, folder } = await planItem(medium, item, this.#good);
      folders.push(folder);
      for (const bytes of Object.values(entry(new Set()))) needed += rounded(bytes?.length ?? 0);
      for (const { file, write } of files) {
        if (seen.has(file.path)) continue;
        seen.add(file.path);
        this.#total += file.size * (write ? 2 : 1);
        if (write) needed += rounded(file.size);
      }
    }
    if (needed > bavail * bsize) {
      const [wanted, free] = unlikeSizes(needed, bavail * bsize);
      throw new NixmakerError('medium-full', `${wanted} needed on ${medium}; ${free} free`);
    }
    await requireFolderRoom(medium, [...seen, ...folders]);
  }

  async #putOne(item: Item): Promise<PutHost> {
    const { pool, options } = this.#context;
    const { host, sequence } = item.bundle.manifest;
    const flush = () => {
      this.#tell(host, 'flushing', 0);
      return pool.flush();
    };
    const plan = await planItem(options.medium, item);
    let written = await this.#write(host, plan);
    await flush();
    const { lost, rewritten } = await this.#readBack(host, plan);
    written += rewritten;
    const entry = plan.entry(lost);
    if (plan.isThere) await completeEntry(plan.folder, entry);
    else {
      const temporary = await prepareEntry(plan.folder, entry);
      await flush();
      await publishEntry(temporary, plan.folder);
    }
    await flush();
    await this.#confirm(plan, entry);
    const bytes = plan.files.reduce((sum, p) => sum + (p.write ? p.file.size : 0), 0);
    const status = !plan.isThere || written > 0 ? 'written' : 'there';
    return { host, sequence, status, files: written, bytes };
  }

  async #write(host: string, { files }: Plan): Promise<number> {
    const { largest } = this.#context.options;
    let written = 0;
    for (const { file, write } of files) {
      if (!write) continue;
      const onBytes = (bytes: number) => this.#tell(host, 'copying', bytes);
      await file.write(given({ onBytes, largest }));
      written += 1;
    }
    return written;
  }

  /**
   * What the medium returns, not what the kernel remembers.
   * @returns how many files were there already, turned out wrong, and were written again; and which of those only the
   * medium has
   */
  async #readBack(host: string, { files }: Plan): Promise<{ rewritten: number; lost: ReadonlySet<string> }> {
    const { pool, options } = this.#context;
    const fresh = files.filter(({ file, write }) => write || !this.#good.has(file.path));
    await pool.forget(fresh.map(({ file }) => file));
    const lost = new Set<string>();
    let rewritten = 0;
    for (const planned of fresh) {
      const { file, isTheirs } = planned;
      const good = await file.isGood((bytes) => this.#tell(host, 'reading back', bytes));
      const name = file.path.slice(options.medium.length + 1);
      if (!good && isTheirs) {
        pool.notices.push(`${name} is damaged on the medium, but nothing uses it any more.`);
        lost.add(file.path);
        continue;
      }
      if (!good) {
        await this.#writeAgain(planned);
        pool.notices.push(`${name} was damaged on the medium and has been rewritten.`);
        rewritten += 1;
      }
      this.#good.add(file.path);
    }
    return { rewritten, lost };
  }

  /** @throws NixmakerError `medium-failing` */
  async #writeAgain(planned: Planned): Promise<void> {
    const { pool, options } = this.#context;
    const { file, write } = planned;
    const failing = () => new NixmakerError('medium-failing', `${file.path} did not read back as written`);
    if (write) throw failing();
    await file.write(given({ largest: options.largest }));
    await pool.flush();
    await pool.forget([file]);
    if (!(await file.isGood())) throw failing();
    planned.write = true;
  }

  /** The names are there now, and nothing has been read since. @throws NixmakerError `medium-failing` */
  async #confirm({ folder, files }: Plan, entry: EntryFiles): Promise<void> {
    const damaged = await findDamaged(folder, entry);
    if (damaged !== undefined)
      throw new NixmakerError('medium-failing', `${damaged} did not read back as written`);
    for (const name of entryFiles) {
      const path = join(folder, name);
      const bytes = entry[name];
      this.#samples.set(path, () => holdsPastCache(path, bytes));
    }
    const small = files.filter(({ file, write }) => write && file.size <= smallBytes);
    for (const planned of [small.at(0), small.at(-1)])
      if (planned !== undefined) this.#samples.set(planned.file.path, () => planned.file.isGood());
  }

  /**
   * Once all hosts are there, a little of each again. Threat: a stick that claims to be larger than it is and wraps around at its end:
   * each host reads back well, and the next ones overwrite it.
   * @throws NixmakerError `medium-failing`
   */
  async #lookAgain(): Promise<void> {
    for (const [path, isGood] of this.#samples)
      if (!(await isGood()))
        throw new NixmakerError(
          'medium-failing',
          `${path} read back as written and has changed since: the medium may be smaller than it claims to be`,
        );
  }

  #tell(host: string, phase: PutProgress['phase'], bytes: number): void {
    this.#done += bytes;
    this.#context.onProgress({ host, phase, done: this.#done, total: this.#total });
  }
}
