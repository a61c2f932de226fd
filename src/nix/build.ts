/** Builds a system, and copies the result out of the store. */
import type { DrvPath, StorePath } from '../core/store-path.ts';
import { type NixContext, type NixProgressOption, nix } from './command.ts';
import { rootIfValid } from './roots.ts';

/** Builds a system, if it is not there yet, and roots it at `outLink`, so that a collection midway can't take it. */
export async function buildSystem(
  context: NixContext,
  { derivation, toplevel, outLink }: { derivation: DrvPath; toplevel: StorePath; outLink: string },
  options: NixProgressOption = {},
): Promise<void> {
  if ((await rootIfValid(context, { link: outLink, path: toplevel })) === true) return;
  const args = ['build', `${derivation}^out`, '--out-link', outLink];
  await nix(context, args, { ...options, failure: 'build-failed' });
}

export type CopySubject =
  | { readonly kind: 'outputs'; readonly path: StorePath }
  /** The recipes, without building: `nix copy $drv` alone has meant different things over the years. */
  | { readonly kind: 'derivation'; readonly path: DrvPath };

/**
 * Copies a closure into a binary cache folder as zstd. Paths already there are not compressed again, which lets several hosts share the
 * work.
 */
export async function copyToCacheFolder(
  context: NixContext,
  { subject, folder }: { subject: CopySubject; folder: string },
  options: NixProgressOption = {},
): Promise<void> {
  // Nix already compresses several paths at once; threads within each take a third longer (docs/performance.md).
  const query = 'compression=zstd&parallel-compression=false&write-nar-listing=false';
  await copy(context, { subject, to: `file://${encodePath(folder)}?${query}` }, options);
}

/** Copies a closure into a chroot store, the form inside the classic tarball. */
export async function copyToChrootStore(
  context: NixContext,
  { subject, folder }: { subject: CopySubject; folder: string },
  options: NixProgressOption = {},
): Promise<void> {
  // So that the database is one file when archived, and files are not hard-linked.
  await copy(context, { subject, to: `local?root=${encodePath(folder)}` }, options, [
    '--option',
    'auto-optimise-store',
    'false',
    '--no-check-sigs',
  ]);
}

/** Adds a key’s signatures to the paths of a chroot store. Nix reads the key’s file; the key is never passed as text. */
export async function signChrootStore(
  context: NixContext,
  { folder, keyFile, path }: { folder: string; keyFile: string; path: StorePath },
): Promise<void> {
  await nix({ ...context, store: `local?root=${encodePath(folder)}` }, [
    'store',
    'sign',
    '--key-file',
    keyFile,
    '--recursive',
    path,
  ]);
}

async function copy(
  context: NixContext,
  { subject, to }: { subject: CopySubject; to: string },
  options: NixProgressOption,
  extra: readonly string[] = [],
): Promise<void> {
  const derivation = subject.kind === 'derivation' ? ['--derivation'] : [];
  await nix(context, ['copy', ...derivation, '--to', to, ...extra, subject.path], {
    ...options,
    log: 'lines',
  });
}

export function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}
