/**
 * A release that decays while it is staged. Its contents are read with those of what runs (machine/check-contents.ts), and repaired as they
 * are; what could not be repaired by the time it is due is on root’s record.
 *
 * Threat: a system whose files are known to be damaged is installed over one that works. And once it was dropped, what is damaged stays
 * valid, so no bundle would bring it again.
 */
import { messageOf, NixmakerError } from '../../core/errors.ts';
import type { ReleaseIndex } from '../../core/release/index-file.ts';
import { type DamagedPath, damagedNames, isReplaceable } from '../../core/run/damage.ts';
import type { StorePath } from '../../core/store-path.ts';
import { readContents } from '../../nix/contents.ts';
import { readSystemLink } from '../../nix/profile.ts';
import { deletePaths, findReferrers, storeFolder } from '../../nix/store.ts';
import { queryClosures } from '../../nix/valid-info.ts';
import { readContentsRecord, writeContentsRecord } from '../../state/contents-record.ts';
import type { RootMachine } from '../machine/machine.ts';
import { systemsInUse } from '../machine/systems.ts';

/** What the running system lacks as well gets no worse by the installation. @throws NixmakerError `staged-lost` */
export async function requireNotDecayed(machine: RootMachine, index: ReleaseIndex): Promise<void> {
  const known = await damagedOnRecord(machine);
  if (known.length === 0) return;
  const own = new Set(index.paths());
  const running = await readSystemLink(machine.settings.currentSystem);
  const used = await closureOf(machine, running === undefined ? [] : [running]);
  const decayed: DamagedPath[] = [];
  for (const each of known)
    if (own.has(each.path) && !used.has(each.path) && (await isDamaged(machine, each))) decayed.push(each);
  if (decayed.length > 0)
    throw new NixmakerError('staged-lost', `damaged since, and not repaired: ${damagedNames(decayed)}`);
}

/** Deletes what is damaged and no system of this machine needs, so that it comes again. Never throws: it is tried once. */
export async function clearDecayed(machine: RootMachine): Promise<void> {
  try {
    const known = await damagedOnRecord(machine);
    if (known.length === 0) return;
    const used = await closureOf(machine, await systemsInUse(machine));
    const gone = new Set<StorePath>();
    for (const { path } of known) if (!used.has(path) && (await isDeleted(machine, path))) gone.add(path);
    if (gone.size === 0) return;
    const record = await readContentsRecord(machine.floorDirectory);
    const damaged = record.damaged.filter(({ path }) => !gone.has(path));
    await writeContentsRecord(machine.floorDirectory, { ...record, damaged });
    machine.emit({ event: 'decayed-deleted', level: 'warn', paths: [...gone] });
  } catch (error) {
    machine.emit({ event: 'decayed-left', level: 'warn', detail: messageOf(error) });
  }
}

const damagedOnRecord = async ({ floorDirectory }: Pick<RootMachine, 'floorDirectory'>) =>
  (await readContentsRecord(floorDirectory)).damaged.filter(isReplaceable);

const closureOf = async ({ nix }: Pick<RootMachine, 'nix'>, systems: readonly StorePath[]) =>
  (await queryClosures(nix, systems)).infos;

/** It may have been repaired since by somebody who keeps no record. */
async function isDamaged(
  { nix }: Pick<RootMachine, 'nix'>,
  { path, narHash }: DamagedPath,
): Promise<boolean> {
  const found = await readContents(storeFolder(nix), path);
  return found.kind !== 'read' || found.narHash !== narHash;
}

/** With what refers to it; Nix deletes nothing that is needed. */
async function isDeleted({ nix }: Pick<RootMachine, 'nix'>, path: StorePath): Promise<boolean> {
  try {
    await deletePaths(nix, await findReferrers(nix, [path]));
    return true;
  } catch (error) {
    if (error instanceof NixmakerError && error.code === 'nix-failed') return false;
    throw error;
  }
}
