/** Imports a closure through a Nix process; daemon.ts does it without one. */
import type { StorePath } from '../core/store-path.ts';
import { encodePath } from './build.ts';
import { type NixContext, type NixProgressOption, nix, toOptions } from './command.ts';
import { syncStore } from './store.ts';

/**
 * Imports the closure of the paths from a binary cache, as an ordinary client: the store checks signatures against its own trusted keys,
 * whatever nixmaker has checked.
 * @param isTrusted for a store that belongs to nobody yet, as nixos-install fills it (`?trusted=1`): Nix compares hashes, but no signatures
 */
export async function importFromCache(
  context: NixContext,
  { url, paths, isTrusted = false }: { url: string; paths: readonly StorePath[]; isTrusted?: boolean },
  options: NixProgressOption = {},
): Promise<void> {
  const once = ['download-attempts', '1'];
  const forgetful = ['narinfo-cache-positive-ttl', '0', 'narinfo-cache-negative-ttl', '0'];
  // Nobody has set it for a store without a daemon. Threat: the power is cut, and paths are valid whose contents never reached the disk.
  const flushed = isTrusted ? ['fsync-store-paths', 'true'] : [];
  const settings = [...once, ...forgetful, ...flushed];
  await importFrom(context, { from: url, paths, settings, isTrusted }, options);
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
  {
    from,
    paths,
    settings,
    isTrusted = false,
  }: { from: string; paths: readonly StorePath[]; settings: readonly string[]; isTrusted?: boolean },
  options: NixProgressOption,
): Promise<void> {
  const unsigned = isTrusted ? ['--no-check-sigs'] : [];
  const args = [
    'copy',
    ...unsigned,
    ...derivationFlag(paths),
    '--from',
    from,
    '--to',
    context.store ?? 'auto',
    '--stdin',
  ];
  const { store: _, ...withoutStore } = context;
  const all = [...args, ...toOptions(['substituters', '', ...settings])];
  await nix(withoutStore, all, { ...options, stdin: paths });
  await syncStore(context);
}

/** For derivations: the recipes themselves, not their outputs. For any other path the flag would mean “its deriver”. */
function derivationFlag(paths: readonly StorePath[]): string[] {
  return paths.some((path) => path.endsWith('.drv')) ? ['--derivation'] : [];
}
