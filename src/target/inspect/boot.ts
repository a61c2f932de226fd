/** For `doctor`: the boot partition, its menu, and whether what is installed is running. */
import { stat } from 'node:fs/promises';
import { leftover, readBootMenus } from '../../activation/boot-menu.ts';
import { unmountedBoot } from '../../activation/boot-mounted.ts';
import { findStartChanges } from '../../activation/inspect.ts';
import { hasBegunToChange, isAtRest } from '../../core/run/lifecycle.ts';
import { sizeText } from '../../core/size.ts';
import { spaceAt } from '../../media/space.ts';
import { readProfile, readSystemLink } from '../../nix/profile.ts';
import { lastOfEach, readJournal } from '../../state/journal.ts';
import { runsSystem } from '../machine/facts.ts';
import type { Machine } from '../machine/machine.ts';
import { findPending, runsRolledBack } from '../machine/pending.ts';
import { bad, type Found, look, ok } from './found.ts';

/** Bytes that a kernel and its initrd may need. */
const roomOfAKernel = 100 * 1024 ** 2;

export async function checkBoot({ settings }: Pick<Machine, 'settings'>): Promise<Found> {
  const place = settings.bootDirectory;
  const [boot, root] = await Promise.all([stat(place).catch(() => undefined), stat('/')]);
  if (boot === undefined) return look(`${place} is missing`, 'Mount it, or set `bootDirectory`.');
  const missing = settings.activation === 'systemd' ? await unmountedBoot(place) : [];
  if (missing.length > 0)
    return bad(
      `${missing.join(', ')}: in /etc/fstab but not mounted, so nothing is installed (\`boot-not-mounted\`)`,
      'See `nixmaker explain boot-not-mounted`.',
    );
  const fault = await checkMenu(settings);
  if (fault !== undefined) return fault;
  if (boot.dev === root.dev) return ok(`${place} is part of the root file system`);
  const { freeBytes } = await spaceAt(place);
  return freeBytes >= roomOfAKernel
    ? ok(`${sizeText(freeBytes)} free`)
    : look(
        `${sizeText(freeBytes)} free: a kernel may not fit`,
        'Delete old generations (`nix-env --delete-generations +3 --profile /nix/var/nix/profiles/system`), then switch. The menu needs room for two entries: the system and one to go back to.',
      );
}

/** Whether the menu starts what is installed, and has something to go back to. */
async function checkMenu({
  bootDirectory,
  profile,
}: Pick<Machine['settings'], 'bootDirectory' | 'profile'>): Promise<Found | undefined> {
  const cutOff = leftover(bootDirectory);
  if ((await stat(cutOff).catch(() => undefined)) !== undefined)
    return look(
      `${cutOff}: a boot builder was cut off, and no other can finish while this file exists`,
      'nixmaker removes it before it installs a boot entry. To do it by hand, make sure no switch is in progress, then delete the file.',
    );
  const { toplevel } = await readProfile(profile);
  const menus = await readBootMenus(bootDirectory);
  // A menu that does not know what is installed belongs to a loader that is no longer in use.
  const menu = menus.find(({ entries }) => entries.some(({ system }) => system === toplevel));
  if (menu === undefined) return undefined;
  if (menu.chosen !== undefined && menu.chosen.system !== toplevel)
    return look(
      `the boot menu’s default is ${menu.chosen.name}, not the installed system`,
      'Choose in the menu, or run `switch-to-configuration boot` of the installed system.',
    );
  if (new Set(menu.entries.map(({ system }) => system)).size > 1) return undefined;
  return look(
    'the boot menu only has the installed system: it offers no way back',
    'The next generation adds one if `boot.loader.*.configurationLimit` is at least 2.',
  );
}

export async function checkSystem({
  settings,
  floorDirectory,
}: Pick<Machine, 'settings' | 'floorDirectory'>): Promise<Found> {
  const [running, booted, { toplevel }, { records }] = await Promise.all([
    readSystemLink(settings.currentSystem),
    readSystemLink(settings.bootedSystem),
    readProfile(settings.profile),
    readJournal(floorDirectory),
  ]);
  if (toplevel === undefined)
    return look('the profile has no generation yet', 'Take a bundle, or switch once.');
  const pending = findPending(records);
  if (pending !== undefined)
    return look(
      `${pending.toplevel} is waiting to be started or confirmed`,
      'Restart, or run `nixmaker confirm`.',
    );
  if (runsRolledBack(records, { running, installed: toplevel }))
    return look(
      'the running system was rolled back; the previous one is installed again',
      'Restart the machine.',
    );
  if (lastOfEach(records).some((r) => hasBegunToChange(r.state) && !isAtRest(r.state)))
    return look('a run is changing it, or was cut off doing so', 'See `run` in this list.');
  if (!(await runsSystem(running, toplevel)))
    return look(
      'the running system is not the installed one, and no run of nixmaker is pending: someone switched by hand',
      'See `nixmaker diff`.',
    );
  const changes = await findStartChanges(booted, toplevel);
  return changes.length === 0
    ? ok('the installed system is running')
    : look(`takes effect after a restart: ${changes.join(', ')}`, 'Restart when convenient.');
}
