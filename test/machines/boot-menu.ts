/** What a machine in a sandbox would boot. */
import { join } from 'node:path';
import { readBootMenus } from '../../src/activation/boot-menu.ts';

async function menuOf(root: string) {
  const [menu] = await readBootMenus(join(root, 'boot'));
  return menu;
}

/** The system that the boot loader chooses by itself. */
export const defaultSystem = async (root: string): Promise<string | undefined> =>
  (await menuOf(root))?.chosen?.system;

/** All that it offers. */
export const offeredSystems = async (root: string): Promise<readonly string[]> =>
  (await menuOf(root))?.entries.map((e) => e.system) ?? [];

/** The same as a shell script that prints it, for a machine that can’t be looked into from outside. */
export const printDefaultSystem =
  'entry=$(sed -n "s/^default //p" /boot/loader/loader.conf); sed -n "s|.* init=\\([^ ]*\\)/init.*|\\1|p; s|^options init=\\([^ ]*\\)/init.*|\\1|p" "/boot/loader/entries/$entry"';
