/** Which generations exist, which of them the machine or the policy needs, and which may go (core/run/surplus.ts). */
import { lstat } from 'node:fs/promises';
import { ifMissing } from '../../core/errno.ts';
import { type JournalRecord, lastCommit } from '../../core/run/journal.ts';
import { isAtRest } from '../../core/run/lifecycle.ts';
import {
  type Generation,
  type KeepReason,
  type Question,
  surplusOf,
  whyKept,
} from '../../core/run/surplus.ts';
import { listGenerations, readProfile, readSystemLink } from '../../nix/profile.ts';
import { readFloor } from '../../state/floor.ts';
import { lastOfEach, readJournal } from '../../state/journal.ts';
import { runsSystem } from './facts.ts';
import { readHeld } from './held.ts';
import type { Machine } from './machine.ts';

type Source = Pick<Machine, 'clock' | 'floorDirectory' | 'policy' | 'settings'>;

export interface Generations {
  readonly all: readonly Generation[];
  readonly kept: ReadonlyMap<number, KeepReason>;
  /** Oldest first. */
  readonly surplus: readonly Generation[];
}

/**
 * @param isOneComing whether a release is about to be installed: the newest place is then its own, and what is installed now becomes what
 * there is to go back to
 */
export async function lookAtGenerations(
  machine: Source,
  { isOneComing }: Pick<Question, 'isOneComing'>,
): Promise<Generations> {
  const { policy, clock } = machine;
  const all = await readGenerations(machine);
  const needed = new Needs();
  await addStanding(machine, all, needed);
  const { records } = await readJournal(machine.floorDirectory);
  addRuns(records, needed, isOneComing);
  const isUnknown = await addHeld(machine, records, needed);
  const question = {
    generations: all,
    needed,
    retention: policy.retention,
    now: clock.now().getTime(),
    isOneComing,
  };
  const kept = whyKept(question);
  // Nobody knows which releases are held, so none may go.
  return { all, kept, surplus: isUnknown ? [] : surplusOf(all, kept) };
}

/** Nix, too, takes the link’s own time (Nix src/libstore/profiles.cc, findGenerations). */
async function readGenerations({ settings }: Pick<Source, 'settings'>): Promise<Generation[]> {
  const found = await listGenerations(settings.profile).catch(ifMissing(new Map()));
  const made = async (number: number) =>
    (await lstat(`${settings.profile}-${number}-link`).catch(ifMissing(undefined)))?.mtimeMs;
  const all = await Promise.all(
    [...found].map(async ([number, toplevel]) => ({
      number,
      toplevel,
      made: (await made(number)) ?? Date.now(),
    })),
  );
  return all.sort((a, b) => a.number - b.number);
}

class Needs {
  readonly numbers = new Map<number, KeepReason>();
  readonly systems = new Map<string, KeepReason>();

  number(value: unknown, reason: KeepReason): void {
    if (typeof value === 'number' && !this.numbers.has(value)) this.numbers.set(value, reason);
  }

  system(value: unknown, reason: KeepReason): void {
    if (typeof value === 'string' && !this.systems.has(value)) this.systems.set(value, reason);
  }
}

/** What is installed, what runs, and what was booted, even if that is a specialisation of a generation’s system. */
async function addStanding(
  { settings }: Pick<Source, 'settings'>,
  all: readonly Generation[],
  needed: Needs,
): Promise<void> {
  const installed = await readProfile(settings.profile);
  needed.number(installed.generation, 'installed');
  // Where the profile is a link into the store, which has no number.
  needed.system(installed.toplevel, 'installed');
  for (const [link, reason] of [
    [settings.currentSystem, 'running'],
    [settings.bootedSystem, 'booted'],
  ] as const) {
    const system = await readSystemLink(link);
    if (system === undefined) continue;
    needed.system(system, reason);
    for (const { toplevel } of all) if (await runsSystem(system, toplevel)) needed.system(toplevel, reason);
  }
}

/** What an unfinished run relies on, what is pending, and what a rollback would go back to. */
function addRuns(records: readonly JournalRecord[], needed: Needs, isOneComing: boolean): void {
  const last = lastOfEach(records);
  for (const record of last) {
    const isOpen = !isAtRest(record.state);
    if (!isOpen && record.state !== 'pending') continue;
    const reason = isOpen ? 'under-way' : 'pending';
    needed.number(record.generation, reason);
    needed.number(record.targetGeneration, reason);
    needed.system(record.toplevel, reason);
    needed.number(record.previousGeneration, 'previous');
    needed.system(record.previousToplevel, 'previous');
  }
  const good = lastCommit(last);
  if (good === undefined) return;
  needed.system(good.toplevel, 'previous');
  if (isOneComing) return;
  needed.number(good.previousGeneration, 'previous');
  needed.system(good.previousToplevel, 'previous');
}

/** A held release may be freed, and returned to. @returns whether the list of held releases is unknown */
async function addHeld(
  { floorDirectory }: Pick<Source, 'floorDirectory'>,
  records: readonly JournalRecord[],
  needed: Needs,
): Promise<boolean> {
  const { held, heldDoubt } = await readHeld(floorDirectory, (await readFloor(floorDirectory)).floor);
  for (const { sequence } of held)
    for (const record of records) if (record.sequence === sequence) needed.system(record.toplevel, 'held');
  return heldDoubt !== undefined;
}
