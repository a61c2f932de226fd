/** Garbage-collector roots for what is about to be imported. */
import { rename, rm, symlink } from 'node:fs/promises';
import type { StorePath } from '../core/store-path.ts';
import { legacyNix, type NixContext } from './command.ts';

/**
 * Makes `link` a garbage-collector root before there is anything to protect: an indirect root may point anywhere,
 * and takes hold when what it points to becomes valid. Registering needs a valid path once, so a derivation that is
 * never built stands in; it is made and rooted by one process, for a collection may run between any two.
 * Needs no privilege.
 */
export async function rootInAdvance(
  context: NixContext,
  { link, path }: { link: string; path: StorePath },
): Promise<void> {
  const standIn = 'derivation { name = "nixmaker-root"; system = "none"; builder = "none"; }';
  for (const stale of [link, `${link}.new`]) await rm(stale, { force: true });
  await legacyNix(context, {
    program: 'nix-instantiate',
    args: ['--add-root', link, '--indirect', '--expr', standIn],
  });
  await symlink(path, `${link}.new`);
  await rename(`${link}.new`, link);
}

/** Drops a root made by `rootInAdvance`. */
export async function dropRoot(link: string): Promise<void> {
  await rm(link, { force: true });
}
