/**
 * Makes room in the store, as root: first what nothing needs any more, then old generations, oldest first, and no more than is asked for.
 * Which paths may go is for Nix to say; whatever it would not know about is held meanwhile, because not every machine has NixOS’s links
 * (/nix/var/nix/gcroots/booted-system), and what a boot menu offers need not have a generation left.
 */
import { readBootMenus } from '../../activation/boot-menu.ts';
import { requireBootMounted } from '../../activation/boot-mounted.ts';
import { NixmakerError } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import type { ReleaseIndex } from '../../core/release/index-file.ts';
import { needOfLines } from '../../core/release/need.ts';
import { type Need, nothing, type Space } from '../../core/room.ts';
import { type Freed, nothingFreed, together, unfinishedBecause } from '../../core/run/freed.ts';
import { countIn, type Generation, HeldLast, type Holding } from '../../core/run/surplus.ts';
import type { StorePath } from '../../core/store-path.ts';
import { spaceAt } from '../../media/space.ts';
import { collectGarbage, everything } from '../../nix/collect.ts';
import { readSystemLink } from '../../nix/profile.ts';
import { holdPaths } from '../../nix/roots.ts';
import { findInvalid, storeFolder, syncStore } from '../../nix/store.ts';
import { queryClosureInfos } from '../../nix/valid-info.ts';
import type { ByRun } from '../machine/by-run.ts';
import { type Generations, lookAtGenerations } from '../machine/generations.ts';
import type { Machine } from '../machine/machine.ts';
import { givingWay } from './give-way.ts';
import { deleteHeld, type Keeper, settle } from './leave.ts';

export type RoomMaker = Keeper & Pick<Machine, 'floorDirectory' | 'interruption' | 'policy'>;

/** What is asked for: bytes and inodes to be free, or as much as can be freed. */
type Goal = Need | 'everything';

/** Milliseconds. */
const second = 1000;

/**
 * Generations that are looked into at a time, the oldest first. Threat: a machine on which nobody has deleted any for years. What all of
 * them hold would be more than this unit may have in memory; it would be killed, started again, and serve nothing else any more.
 */
const mostLookedAt = 50;

/** A release, and what else may go if nothing else is left to free. */
export interface Coming {
  readonly index: ReleaseIndex;
  /** @returns whether anything went */
  readonly giveWay: () => Promise<boolean>;
}

/** Room for what a release needs and the store does not have yet. The lock must be held. */
export async function makeRoomFor(machine: RoomMaker, by: ByRun, { index, giveWay }: Coming): Promise<Freed> {
  const paths = [...index.paths()];
  // Whoever brings the rest counts on what is there.
  const { nix, release } = await holdPaths(machine.nix, paths);
  try {
    const missing = new Set<string>(await findInvalid(nix, paths));
    const lines = paths.flatMap((path, line) => (missing.has(path) ? [line] : []));
    const need = needOfLines(index, lines);
    const { freeBytes } = machine.policy.limits;
    return await freeStore(machine, by, {
      goal: { bytes: need.bytes + freeBytes, files: need.files },
      isOneComing: true,
      coming: new Map(paths.map((path) => [path, 0])),
      giveWay,
    });
  } finally {
    release();
  }
}

export interface Asked {
  readonly goal: Goal;
  readonly isOneComing: boolean;
  /** What is held, whatever becomes of the rest. */
  readonly coming?: Holding;
  readonly giveWay?: Coming['giveWay'];
}

/** @returns what was freed, even if that was not enough or something went wrong on the way */
export async function freeStore(machine: RoomMaker, by: ByRun, asked: Asked): Promise<Freed> {
  await settle(machine, 'cut-off');
  return new Freeing(machine, by, asked).run();
}

/** Systems that are running, were booted, or can be. */
async function whatMustStay({ settings }: Pick<Machine, 'settings'>): Promise<StorePath[]> {
  const links = [settings.currentSystem, settings.bootedSystem, settings.profile];
  const systems = await Promise.all(links.map(readSystemLink));
  const menus = await readBootMenus(settings.bootDirectory);
  const offered = menus.flatMap(({ entries }) => entries.map(({ system }) => system));
  return [...new Set([...systems.filter((s) => s !== undefined), ...offered])];
}

class Freeing {
  readonly #machine: RoomMaker;
  readonly #by: ByRun;
  readonly #asked: Asked;
  readonly #until: number;
  #freed: Freed = nothingFreed;

  constructor(machine: RoomMaker, by: ByRun, asked: Asked) {
    this.#machine = machine;
    this.#by = by;
    this.#asked = asked;
    this.#until = machine.clock.monotonic() + machine.settings.collectDeadline * second;
  }

  async run(): Promise<Freed> {
    try {
      await this.#free();
    } catch (error) {
      if (!(error instanceof NixmakerError) || error.code === 'stopped') throw error;
      this.#end(`${error.code}: ${error.detail}`);
    }
    this.#by.emit('room-made', { ...this.#freed });
    return this.#freed;
  }

  async #free(): Promise<void> {
    const { goal } = this.#asked;
    const { activation, bootDirectory } = this.#machine.settings;
    // Threat: the menu is on a partition that nobody sees now. It goes on offering what would be deleted, and the builder writes elsewhere.
    if (activation === 'systemd') await requireBootMounted(bootDirectory);
    // When everything is to go, there is one round.
    if (goal === 'everything') {
      await this.#deleteHeld((await this.#look()).surplus);
      await this.#collect(everything);
      return;
    }
    for (;;) {
      await this.#collectFor(goal);
      if (this.#freed.unfinished !== undefined || (await this.#isReached(goal))) return;
      const found = await this.#look();
      const isMore =
        found.surplus.length > 0 && (await this.#deleteHeld(await this.#choose(found, goal))) > 0;
      if (!isMore && (await this.#asked.giveWay?.()) !== true) return;
    }
  }

  #look(): Promise<Generations> {
    return lookAtGenerations(this.#machine, { isOneComing: this.#asked.isOneComing });
  }

  /** @returns how many are gone */
  async #deleteHeld(generations: readonly Generation[]): Promise<number> {
    if (generations.length === 0) return 0;
    const gone = await deleteHeld(this.#machine, this.#by, { generations, menu: 'if-offered' });
    this.#add({ ...nothingFreed, generations: gone.map(({ number }) => number) });
    return gone.length;
  }

  /** If all of them are not enough by Nix’s own count, they go all the same: their files may take more on the disk. */
  async #choose({ all, surplus }: Generations, goal: Need): Promise<readonly Generation[]> {
    const { bytes, files } = await this.#lacking(goal);
    if (bytes === 0 && files > 0) return surplus.slice(0, 1);
    const looked = surplus.slice(0, mostLookedAt);
    const going = new Set(surplus.map(({ number }) => number));
    // Of those beyond, the next: it has most in common with them.
    const staying = [
      ...all.filter(({ number }) => !going.has(number)),
      ...surplus.slice(looked.length, looked.length + 1),
    ];
    const held = new HeldLast();
    for (const { toplevel } of looked) held.goes(await this.#holdingOf(toplevel));
    for (const toplevel of new Set(staying.map((g) => g.toplevel)))
      held.stays(await this.#holdingOf(toplevel));
    held.stays(this.#asked.coming ?? new Map());
    return looked.slice(0, countIn(held.sums(), bytes) ?? looked.length);
  }

  async #holdingOf(system: StorePath): Promise<Holding> {
    const infos = await queryClosureInfos(this.#machine.nix, system).catch((error: unknown) => {
      // A generation whose system is no longer valid holds nothing.
      if (error instanceof NixmakerError && error.code === 'nix-failed') return new Map();
      throw error;
    });
    return new Map([...infos].map(([path, { narSize }]) => [path, narSize]));
  }

  async #collectFor(goal: Need): Promise<void> {
    // Repeated if Nix’s count and the disk’s differ, as long as there is something to delete.
    for (;;) {
      const { bytes, files } = await this.#lacking(goal);
      if (bytes === 0 && files === 0) return;
      if (!(await this.#collect(bytes === 0 ? everything : bytes))) return;
    }
  }

  /** @returns whether anything was deleted, and there is time for more */
  async #collect(bytes: number): Promise<boolean> {
    const { nix, clock, interruption } = this.#machine;
    // Read again each time: what a menu no longer offers may go.
    const { release } = await holdPaths(nix, await whatMustStay(this.#machine));
    this.#by.emit('collecting', { bytes }, 'debug');
    const time = this.#until - clock.monotonic();
    const collecting = givingWay(this.#machine, interruption?.signal, async (signal) =>
      time <= 0 ? undefined : collectGarbage({ ...nix, ...given({ signal }) }, clock, { bytes, time }),
    );
    const { result: collected, gaveWay } = await collecting.finally(release);
    if (interruption?.fault !== undefined) throw interruption.fault;
    if (collected === undefined) {
      const late = `collectDeadline is over (${this.#machine.settings.collectDeadline} seconds)`;
      this.#end(gaveWay ? 'it gave way to the judgement of the system that was started' : late);
      return false;
    }
    this.#add({ ...nothingFreed, ...collected });
    // Threat: a power cut that undoes what the database says of it, and not the deletion (nix/lost.ts).
    if (collected.paths > 0) await syncStore(nix);
    return collected.paths > 0;
  }

  async #lacking(goal: Need): Promise<Need> {
    const { freeBytes, freeInodes = Number.POSITIVE_INFINITY }: Space = await spaceAt(
      storeFolder(this.#machine.nix),
    );
    return { bytes: Math.max(0, goal.bytes - freeBytes), files: Math.max(0, goal.files - freeInodes) };
  }

  async #isReached(goal: Need): Promise<boolean> {
    const { bytes, files } = await this.#lacking(goal);
    return bytes === nothing.bytes && files === nothing.files;
  }

  #add(freed: Freed): void {
    this.#freed = together(this.#freed, freed);
  }

  #end(unfinished: string): void {
    this.#freed = { ...this.#freed, ...unfinishedBecause(unfinished) };
  }
}
