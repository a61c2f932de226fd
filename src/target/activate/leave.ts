/**
 * Deletes generations of the system profile so that nothing needed is lost, wherever it is cut off.
 *
 * A generation that is to go is first held beside the profile, in a folder of its own whose links are garbage-collector roots like
 * everything below Nix’s profiles (Nix src/libstore/gc.cc, findRootsNoTemp). Then Nix deletes it, under its own lock and never the present
 * one; the boot loader’s builder writes a menu without it; and only when no menu leads to it any more is it released. Threat: a menu entry
 * whose system has been collected does not boot.
 */
import { lstat, lutimes, readdir, readlink, symlink, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { specialisationsOf } from '../../activation/boot-files.ts';
import { readBootMenus } from '../../activation/boot-menu.ts';
import { unmountedBoot } from '../../activation/boot-mounted.ts';
import { ifMissing, insteadOf } from '../../core/errno.ts';
import { NixmakerError } from '../../core/errors.ts';
import type { BootMenu } from '../../core/run/boot-menu.ts';
import { describeFault } from '../../core/run/boot-menu.ts';
import type { Generation } from '../../core/run/surplus.ts';
import { parseStorePath, type StorePath } from '../../core/store-path.ts';
import { makeFolder, syncFolder } from '../../files/folder.ts';
import { deleteGenerations, listGenerations, readProfile } from '../../nix/profile.ts';
import type { ByRun } from '../machine/by-run.ts';
import type { Machine } from '../machine/machine.ts';
import { installMenu } from './boot-verb.ts';
import { requireDone } from './switch-verb.ts';

export type Keeper = Pick<Machine, 'clock' | 'emit' | 'nix' | 'run' | 'settings'>;

const folderOf = ({ profile }: Pick<Machine['settings'], 'profile'>) => `${profile}.leaving`;

/**
 * @param menu whether the boot loader is always installed anew, or only if a menu leads to one of them or none can be read
 * @returns those that are gone: one that a menu still offers stays
 * @throws NixmakerError `nix-failed`, `activation-failed`, `no-boot-entry`; all of them are then there again
 */
export async function deleteHeld(
  machine: Keeper,
  by: ByRun,
  {
    generations,
    menu,
  }: { readonly generations: readonly Generation[]; readonly menu: 'anew' | 'if-offered' },
): Promise<Generation[]> {
  if (generations.length > 0) await holdBeside(machine, generations);
  try {
    const numbers = generations.map(({ number }) => number);
    const { profile } = machine.settings;
    if (numbers.length > 0) await deleteGenerations(machine.nix, { profile, generations: numbers });
    const isOffered = menu === 'anew' || (await findOffered(machine, generations)) !== 'none';
    if (isOffered) await writeMenu(machine, by);
  } catch (error) {
    await settle(machine, 'put-back');
    throw error;
  }
  await settle(machine, 'menu-written');
  const left = await listGenerations(machine.settings.profile);
  return generations.filter(({ number }) => !left.has(number));
}

async function holdBeside({ settings }: Keeper, generations: readonly Generation[]): Promise<void> {
  const folder = folderOf(settings);
  await makeFolder(folder);
  for (const { number, toplevel, made } of generations) {
    const link = join(folder, String(number));
    await symlink(toplevel, link).catch(insteadOf(['EEXIST'], undefined));
    // Its age comes back with it.
    await lutimes(link, made / 1000, made / 1000);
  }
  await syncFolder(folder);
}

/** Menus that offer what is installed: one that does not belongs to a loader no longer in use, and nobody maintains it. */
async function menusInForce(
  { settings }: Pick<Machine, 'settings'>,
  installed: StorePath | undefined,
): Promise<BootMenu[]> {
  const menus = await readBootMenus(settings.bootDirectory);
  return menus.filter(({ entries }) => entries.some(({ system }) => system === installed));
}

/** Which systems the menus offer; `unknown` if there is none that can be read. */
async function offeredBy(machine: Pick<Machine, 'settings'>): Promise<ReadonlySet<string> | 'unknown'> {
  const { activation, bootDirectory, profile } = machine.settings;
  // What lies below the mount point is not the menu that counts.
  if (activation === 'systemd' && (await unmountedBoot(bootDirectory)).length > 0) return 'unknown';
  const { toplevel } = await readProfile(profile);
  const menus = await menusInForce(machine, toplevel);
  if (menus.length === 0) return 'unknown';
  return new Set(menus.flatMap(({ entries }) => entries.map(({ system }) => system)));
}

async function findOffered(
  machine: Pick<Machine, 'settings'>,
  generations: readonly Generation[],
): Promise<'some' | 'none' | 'unknown'> {
  const offered = await offeredBy(machine);
  if (offered === 'unknown') return 'unknown';
  for (const { toplevel } of generations) if (await isOffered(toplevel, offered)) return 'some';
  return 'none';
}

/** Counts its specialisations too, which have entries of their own. */
async function isOffered(system: StorePath, offered: ReadonlySet<string>): Promise<boolean> {
  if (offered.has(system)) return true;
  for (const variant of await specialisationsOf(system)) {
    const path = await readlink(variant).catch(insteadOf(['ENOENT', 'EINVAL'], ''));
    if (offered.has(path)) return true;
  }
  return false;
}

/** Done by the boot builder of the installed system, which goes by the generations that exist. */
async function writeMenu(machine: Keeper, by: ByRun): Promise<void> {
  const { toplevel } = await readProfile(machine.settings.profile);
  if (toplevel === undefined) throw new NixmakerError('activation-failed', 'no system is installed');
  const fault = await installMenu(machine, by, {
    question: { next: toplevel, offered: [toplevel] },
    requireDone: (result) => requireDone(result, { what: `${toplevel} boot`, code: 'activation-failed' }),
    onRenewed: undefined,
  });
  if (fault !== undefined) throw new NixmakerError('no-boot-entry', describeFault(fault));
}

/**
 * Each generation held beside the profile is released, or becomes a generation again.
 * @param how `put-back`: whatever is no generation becomes one. `menu-written`: what no menu leads to goes. `cut-off`: the same, but if no
 * menu can be read, nobody knows whether it was written
 */
export async function settle(
  machine: Pick<Machine, 'emit' | 'settings'>,
  how: 'put-back' | 'menu-written' | 'cut-off',
): Promise<void> {
  const folder = folderOf(machine.settings);
  const names = (await readdir(folder).catch(ifMissing([]))).filter((name) => /^[1-9]\d*$/.test(name));
  if (names.length === 0) return;
  const offered = how === 'put-back' ? 'unknown' : await offeredBy(machine);
  const there = await listGenerations(machine.settings.profile);
  const systems = new Set(there.values());
  for (const name of names) {
    const system = parseStorePath(await readlink(join(folder, name)));
    const isThere = there.get(Number(name)) === system;
    if (system === undefined || isThere) continue;
    const isNeeded =
      offered === 'unknown'
        ? how !== 'menu-written'
        : !systems.has(system) && (await isOffered(system, offered));
    if (isNeeded) await putBack(machine, { number: Number(name), system, isTaken: there.has(Number(name)) });
  }
  await syncFolder(join(folder, '..'));
  for (const name of names) await unlink(join(folder, name));
  await syncFolder(folder);
}

async function putBack(
  { emit, settings }: Pick<Machine, 'emit' | 'settings'>,
  {
    number,
    system,
    isTaken,
  }: { readonly number: number; readonly system: StorePath; readonly isTaken: boolean },
): Promise<void> {
  const { profile } = settings;
  // If the newest was deleted, the next generation gets its number.
  const free = isTaken ? Math.max(...(await listGenerations(profile)).keys()) + 1 : number;
  const { mtime } = await lstat(join(folderOf(settings), String(number)));
  await symlink(system, `${profile}-${free}-link`);
  await lutimes(`${profile}-${free}-link`, mtime, mtime);
  emit({ event: 'generation-kept', level: 'warn', generation: free, system });
}
