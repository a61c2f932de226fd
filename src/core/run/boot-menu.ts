/**
 * The boot loader’s menu, as far as it can be read: which systems it offers, and which it would start by default. The old
 * system is only safe while it is still in the menu: a boot builder keeps no more entries than its limit.
 */
import type { StorePath } from '../store-path.ts';

export type BootLoader = 'systemd-boot' | 'grub' | 'extlinux' | 'limine';

export interface BootEntry {
  /** Its name in the menu. */
  readonly name: string;
  /** The system whose `init` it starts. */
  readonly system: StorePath;
}

export interface BootMenu {
  readonly loader: BootLoader;
  readonly entries: readonly BootEntry[];
  /** Undefined if the menu’s own rules decide: a pattern that fits several, what was chosen last. */
  readonly chosen: BootEntry | undefined;
}

export type MenuFault =
  | { readonly kind: 'new-is-missing' }
  | { readonly kind: 'old-is-missing' }
  | { readonly kind: 'other-default'; readonly name: string };

export interface MenuQuestion {
  /** What the boot loader was installed for: it must be there, and be the default. */
  readonly next: StorePath;
  /** The system to go back to must still be there. */
  readonly previous?: StorePath | undefined;
  /**
   * What the menu offered before. A machine may have menus of boot loaders it no longer uses: one that offered none of
   * these is nobody’s to maintain, and is not judged.
   */
  readonly offered: readonly (StorePath | undefined)[];
}

const offers = (menu: BootMenu, system: StorePath): boolean => menu.entries.some((e) => e.system === system);

/** What is wrong with the menu after the boot loader was installed. */
export function judgeMenu(
  { before, after }: { readonly before: readonly BootMenu[]; readonly after: readonly BootMenu[] },
  { next, previous, offered }: MenuQuestion,
): MenuFault | undefined {
  const witnesses = offered.filter((s) => s !== undefined);
  const kept = before.filter((m) => witnesses.some((s) => offers(m, s))).map((m) => m.loader);
  for (const menu of after.filter((m) => kept.includes(m.loader))) {
    if (!offers(menu, next)) return { kind: 'new-is-missing' };
    if (previous !== undefined && !offers(menu, previous)) return { kind: 'old-is-missing' };
    if (menu.chosen !== undefined && menu.chosen.system !== next)
      return { kind: 'other-default', name: menu.chosen.name };
  }
  return undefined;
}

/** As the operator reads it. */
export function describeFault(fault: MenuFault): string {
  switch (fault.kind) {
    case 'new-is-missing':
      return 'the boot menu has no entry for the new system';
    case 'old-is-missing':
      return 'the boot menu no longer has an entry for the system to go back to';
    case 'other-default':
      return `the boot menu’s default is another system: ${fault.name}`;
  }
}
