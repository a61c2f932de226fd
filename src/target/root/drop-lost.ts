/**
 * Once after each start of the machine: what Nix’s database calls valid and a power cut has left without files goes from the database too
 * (nix/lost.ts). Whoever had it deleted, a collection of ours, NixOS’s own or a person’s. What is in use is no garbage, so no collection
 * took its files: it is kept, and put on the record of what is damaged, from which it is repaired.
 */
import { join } from 'node:path';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import { type DamagedPath, mostDamaged } from '../../core/run/damage.ts';
import type { StorePath } from '../../core/store-path.ts';
import { readIfThere } from '../../files/read.ts';
import type { NixContext } from '../../nix/command.ts';
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

/** The start after which the store was last looked through. */
const lookedFile = ({ floorDirectory }: Pick<Looker, 'floorDirectory'>) =>
  join(floorDirectory, 'store-looked-through');

/** Milliseconds. */
const second = 1000;

/** Paths per command line. */
const portion = 500;

/** Named in the log. */
const mostNamed = 100;

/**
 * The lock must be held. Never throws when something goes wrong, and takes no longer than `collectDeadline`: nothing else waits for it, and
 * whatever is imported is looked at again (valid-paths.ts). What was not finished is begun again the next time.
 */
export async function dropLost(machine: Looker): Promise<void> {
  try {
    if (!canLose(machine.nix)) return;
    if ((await readIfThere(lookedFile(machine))) === machine.bootId) return;
    const isDone = await lookThrough(machine);
    if (isDone) await writeDurably(lookedFile(machine), machine.bootId);
  } catch (error) {
    if (error instanceof NixmakerError && error.code === 'stopped') throw error;
    machine.emit({ event: 'store-not-looked-through', level: 'warn', detail: messageOf(error) });
  }
}

/** @returns false if something was kept of which nobody knows why: a run of the agent’s may have held it just now */
async function lookThrough(machine: Looker): Promise<boolean> {
  const deadline = AbortSignal.timeout(machine.settings.collectDeadline * second);
  const nix = { ...machine.nix, signal: deadline };
  const lost = await findLost(nix, await listValid(nix), (open) => queryValidInfos(nix, open));
  if (lost.size === 0) return true;
  const kept: StorePath[] = [];
  const all = [...lost.keys()];
  for (let start = 0; start < all.length; start += portion)
    kept.push(...(await drop(nix, all.slice(start, start + portion))));
  if (deadline.aborted) throw new NixmakerError('nix-failed', 'collectDeadline is over');
  const recorded = await keepOnRecord(machine, new Map(kept.map((path) => [path, lost.get(path) as Lost])));
  const dropped = all.filter((path) => !kept.includes(path));
  machine.emit({
    event: 'lost-paths-dropped',
    level: kept.length > 0 ? 'error' : 'warn',
    count: dropped.length,
    paths: dropped.slice(0, mostNamed),
    kept: kept.slice(0, mostNamed),
  });
  return recorded === kept.length;
}

/** @returns those that something needs */
async function drop(nix: NixContext, paths: readonly StorePath[]): Promise<StorePath[]> {
  const left = await stillValid(nix, paths);
  if (left.length === 0 || (await isDeleted(nix, left))) return [];
  const kept: StorePath[] = [];
  // One that is needed holds up all: now each by itself.
  for (const path of left) if (!(await isDeleted(nix, [path]))) kept.push(path);
  return stillValid(nix, kept);
}

/** Some go with another, or by somebody else. */
async function stillValid(nix: NixContext, paths: readonly StorePath[]): Promise<StorePath[]> {
  const gone = new Set(await findInvalid(nix, paths));
  return paths.filter((path) => !gone.has(path));
}

/** With what refers to them, which is of no use without them; for Nix deletes nothing that is needed. */
async function isDeleted(nix: NixContext, paths: readonly StorePath[]): Promise<boolean> {
  try {
    await deletePaths(nix, await findReferrers(nix, paths));
    return true;
  } catch (error) {
    if (error instanceof NixmakerError && error.code === 'nix-failed') return false;
    throw error;
  }
}

/** Those that a system of this machine needs. @returns how many */
async function keepOnRecord(machine: Looker, kept: ReadonlyMap<StorePath, Lost>): Promise<number> {
  if (kept.size === 0) return 0;
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
  return found.length;
}
