/** Imports a closure through a Nix process; daemon.ts does it without one. */
import type { StorePath } from '../core/store-path.ts';
import { encodePath } from './build.ts';
import { type NixContext, type NixProgressOption, nix, toOptions } from './command.ts';
import { syncStore } from './store.ts';

/**
 * Imports the closure of the paths from a binary cache, as an ordinary client: the store checks signatures against its own trusted keys,
 * whatever nixmaker has checked.
 */
export async function importFromCache(
  context: NixContext,
  { url, paths }: { url: string; paths: readonly StorePath[] },
  options: NixProgressOption = {},
): Promise<void> {
  const once = ['download-attempts', '1'];
  const forgetful = ['narinfo-cache-positive-ttl', '0', 'narinfo-cache-negative-ttl', '0'];
  await importFrom(context, { from: url, paths, settings: [...once, ...forgetful] }, options);
}

/** The same from a chroot store, the form inside a classic tarball. Only for one that has been checked. */
export async function importFromChrootStore(
  context: NixContext,
  { folder, path }: { folder: string; path: StorePath },
  options: NixProgressOption = {},
): Promise<void> {
  await importFrom(
    context,
    { from: `local?root=${encodePath(folder)}`, paths: [path], settings: [] },
    options,
  );
}

/** Nothing else is asked for substitutes, and everything imported is on disk when this returns. */
async function importFrom(
  context: NixContext,
  { from, paths, settings }: { from: string; paths: readonly StorePath[]; settings: readonly string[] },
  options: NixProgressOption,
): Promise<void> {
  const args = ['copy', ...derivationFlag(paths), '--from', from, '--to', context.store ?? 'auto', ...paths];
  const { store: _, ...withoutStore } = context;
  await nix(withoutStore, [...args, ...toOptions(['substituters', '', ...settings])], options);
  await syncStore(context);
}

/** For derivations: the recipes themselves, not their outputs. For any other path the flag would mean “its deriver”. */
function derivationFlag(paths: readonly StorePath[]): string[] {
  return paths.some((path) => path.endsWith('.drv')) ? ['--derivation'] : [];
}
