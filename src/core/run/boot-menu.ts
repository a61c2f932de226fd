/**
 * The boot loader’s menu, as far as it can be read: which systems it offers, and which it would start by itself. The old
 * system is only safe where the menu still has it: a boot builder keeps no more entries than its limit.
 */
import type { StorePath } from '../store-path.ts';

export type BootLoader = 'systemd-boot' | 'grub' | 'extlinux';

export interface BootEntry {
  /** As the menu calls it. */
  readonly name: string;
  /** Whose `init` it starts. */
  readonly system: StorePath;
}

export interface BootMenu {
  readonly loader: BootLoader;
  readonly entries: readonly BootEntry[];
  /** Undefined where the menu’s own rules decide: a pattern that fits several, what was chosen last. */
  readonly chosen: BootEntry | undefined;
}

export type MenuComplaint =
  | { readonly kind: 'new-is-missing' }
  | { readonly kind: 'old-is-missing' }
  | { readonly kind: 'other-default'; readonly name: string };

const offers = (menu: BootMenu, system: StorePath): boolean => menu.entries.some((e) => e.system === system);

/**
 * What is wrong with the menu after the boot loader was installed for `next`. A machine may have menus of loaders that it no longer
 * starts by: only one that offered the system it had before, and so is kept by somebody, is judged.
 * @param previous what must still be there to go back to; undefined where there is nothing
 */
export function judgeMenu(
  { before, after }: { readonly before: readonly BootMenu[]; readonly after: readonly BootMenu[] },
  { next, previous }: { readonly next: StorePath; readonly previous: StorePath | undefined },
): MenuComplaint | undefined {
  if (previous === undefined) return undefined;
  const kept = before.filter((m) => offers(m, previous)).map((m) => m.loader);
  for (const menu of after.filter((m) => kept.includes(m.loader))) {
    if (!offers(menu, next)) return { kind: 'new-is-missing' };
    if (!offers(menu, previous)) return { kind: 'old-is-missing' };
    if (menu.chosen !== undefined && menu.chosen.system !== next)
      return { kind: 'other-default', name: menu.chosen.name };
  }
  return undefined;
}
