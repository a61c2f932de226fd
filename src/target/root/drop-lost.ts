/**
 * Once after each start of the machine: what Nix’s database calls valid and a power cut has left without files goes from the database too
 * (nix/lost.ts). Whoever had it deleted, a collection of ours, NixOS’s own or a person’s. What is in use is no garbage, so no collection
 * took its files: it is kept, and put on the record of what is damaged, from which it is repaired.
 */
import { join } from 'node:path';
import { setImmediate as othersFirst } from 'node:timers/promises';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import { type DamagedPath, mostDamaged } from '../../core/run/damage.ts';
import { parseStorePath, type StorePath } from '../../core/store-path.ts';
import { readIfThere } from '../../files/read.ts';
import { type NixContext, toOptions } from '../../nix/command.ts';
import { canLose, findLost, type Lost } from '../../nix/lost.ts';
import { deletePaths, findInvalid, findReferrers, listValid } from '../../nix/store.ts';
import { queryClosures, queryValidInfos } from '../../nix/valid-info.ts';
import { readContentsRecord, writeContentsRecord } from '../../state/contents-record.ts';
import { writeDurably } from '../../state/durable.ts';
import type { RootMachine } from '../machine/machine.ts';
import { systemsInUse } from '../machine/systems.ts';

type Looker = Pick<
  RootMachine,
  'bootId' | 'clock' | 'emit' | 'floorDirectory' | 'nix' | 'policy' | 'settings'
>;

/** Whether somebody waits for this process. */
type IsAsked = () => Promise<boolean>;

/** The start after which the store was last looked through, and what is to be looked at again. */
const lookedFile = ({ floorDirectory }: Pick<Looker, 'floorDirectory'>) =>
  join(floorDirectory, 'store-looked-through');

/** Milliseconds. */
const second = 1000;

/** Paths in one go: it gives way in between. */
const portion = 500;

/** Named in the log, and looked at again. */
const mostNamed = 100;

/** Somebody waits for us. */
class GivesWay extends Error {}

/**
 * The lock must not be held. Threat: a large store on a slow disk, for which the start of the machine would wait in vain (confirm.ts). It
 * gives way to requests, and takes no longer than `collectDeadline`; whatever is imported is looked at again (valid-paths.ts). Never throws
 * when something goes wrong. What was not finished is begun again the next time, but what took too long not before the next start.
 * @returns whether it took any time, in which something may have come
 */
export async function dropLost(machine: Looker, isAsked: IsAsked): Promise<boolean> {
  const { clock, settings } = machine;
  const until = clock.monotonic() + settings.collectDeadline * second;
  const isLate = () => clock.monotonic() > until;
  const tell = (error: unknown) =>
    machine.emit({ event: 'store-not-looked-through', level: 'warn', detail: messageOf(error) });
  const goOn = async () => {
    await othersFirst();
    if (isLate()) throw new NixmakerError('nix-failed', 'collectDeadline is over');
    if (await isAsked()) throw new GivesWay();
  };
  try {
    if (!canLose(machine.nix)) return false;
    const before = await readLooked(machine);
    if (before?.length === 0) return false;
    const again = await lookThrough(machine, before, goOn).catch((error: unknown) => {
      if (!isLate()) throw error;
      tell(error);
      return [];
    });
    await writeLooked(machine, again);
  } catch (error) {
    if (error instanceof NixmakerError && error.code === 'stopped') throw error;
    if (!(error instanceof GivesWay)) tell(error);
  }
  return true;
}

/** What this start has left to be looked at again; undefined if it has not looked through the store. */
async function readLooked(machine: Looker): Promise<StorePath[] | undefined> {
  const [boot, ...again] = (await readIfThere(lookedFile(machine)))?.split('\n') ?? [];
  return boot === machine.bootId ? again.flatMap((path) => parseStorePath(path) ?? []) : undefined;
}

const writeLooked = (machine: Looker, again: readonly StorePath[]): Promise<void> =>
  writeDurably(lookedFile(machine), [machine.bootId, ...again].join('\n'));

/**
 * @param before the paths to look at; all of them if omitted
 * @returns what was kept, and nobody knows why: a run of the agent’s may have held it just now
 */
async function lookThrough(
  machine: Looker,
  before: readonly StorePath[] | undefined,
  goOn: () => Promise<void>,
): Promise<StorePath[]> {
  const deadline = AbortSignal.timeout(machine.settings.collectDeadline * second);
  const nix = { ...machine.nix, signal: deadline };
  const infosOf = (open: readonly StorePath[]) => queryValidInfos(nix, open);
  const found = await findLost(nix, before ?? (await listValid(nix)), { infosOf, goOn });
  // What somebody has deleted meanwhile is gone from the database as well.
  const all = await stillValid(nix, [...found.keys()]);
  if (all.length === 0) return [];
  const kept = new Map<StorePath, Lost>();
  for (let start = 0; start < all.length; start += portion)
    for (const path of await drop(nix, all.slice(start, start + portion), goOn))
      kept.set(path, found.get(path) as Lost);
  await goOn();
  const unknown = await keepOnRecord(machine, kept);
  const dropped = all.filter((path) => !kept.has(path));
  if (dropped.length > 0 || before === undefined)
    machine.emit({
      event: 'lost-paths-dropped',
      level: kept.size > 0 ? 'error' : 'warn',
      count: dropped.length,
      paths: dropped.slice(0, mostNamed),
      kept: [...kept.keys()].slice(0, mostNamed),
    });
  return unknown.slice(0, mostNamed);
}

/** @returns those that something needs */
async function drop(
  nix: NixContext,
  paths: readonly StorePath[],
  goOn: () => Promise<void>,
): Promise<StorePath[]> {
  const left = await stillValid(nix, paths);
  if (left.length === 0 || (await isDeleted(nix, left))) return [];
  const kept: StorePath[] = [];
  // One that is needed holds up all: now each by itself.
  for (const path of left) {
    await goOn();
    if (!(await isDeleted(nix, [path]))) kept.push(path);
  }
  return stillValid(nix, kept);
}

/** Some go with another, or by somebody else. */
async function stillValid(nix: NixContext, paths: readonly StorePath[]): Promise<StorePath[]> {
  const gone = new Set(await findInvalid(nix, paths));
  return paths.filter((path) => !gone.has(path));
}

/** A recipe that has lost its file is of no use to its outputs, for whose sake Nix would keep it. */
const recipesToo = toOptions(['keep-derivations', 'false']);

/** With what refers to them, which is of no use without them; for Nix deletes nothing that is needed. */
async function isDeleted(nix: NixContext, paths: readonly StorePath[]): Promise<boolean> {
  try {
    await deletePaths(nix, await findReferrers(nix, paths), recipesToo);
    return true;
  } catch (error) {
    if (error instanceof NixmakerError && error.code === 'nix-failed') return false;
    throw error;
  }
}

/** Those that a system of this machine needs. @returns the others */
async function keepOnRecord(machine: Looker, kept: ReadonlyMap<StorePath, Lost>): Promise<StorePath[]> {
  if (kept.size === 0) return [];
  const { infos } = await queryClosures(machine.nix, await systemsInUse(machine));
  const found = [...kept].flatMap(([path, how]): DamagedPath[] => {
    const info = infos.get(path);
    if (info === undefined) return [];
    const { narHash, narSize } = info;
    return [{ path, what: how === 'gone' ? 'missing' : 'altered', narHash, narSize }];
  });
  const record = await readContentsRecord(machine.floorDirectory);
  const known = record.damaged.filter(({ path }) => !kept.has(path));
  const damaged = [...known, ...found].slice(0, mostDamaged);
  await writeContentsRecord(machine.floorDirectory, { ...record, damaged });
  return [...kept.keys()].filter((path) => !infos.has(path));
}
