/**
 * Puts another path in a store path’s place in one step of the file system: whoever opens the path at any moment finds one of the two, whole.
 *
 * Nix’s own repair deletes the path first and then unpacks the new one, or moves the old one aside before the new one comes (Nix
 * src/libstore/local-store.cc, addToStore; src/libstore/unix/build/derivation-builder.cc, replaceValidPath): a machine whose C library is
 * being repaired is without it meanwhile, or for good after a power cut.
 */
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { complaintOf, exitText } from '../core/complaint.ts';
import { ifMissing } from '../core/errno.ts';
import { NixmakerError } from '../core/errors.ts';
import { type StorePath, toBaseName } from '../core/store-path.ts';
import type { NixContext } from './command.ts';
import { storeFolder } from './store.ts';

/**
 * Afterwards each has the other’s contents; if there was nothing at the path, only the path has any. `mv --exchange` is renameat2(2) with
 * RENAME_EXCHANGE (GNU coreutils 9.5 and newer), which Node.js can’t call; without `--no-copy` it might fall back to copying.
 * @throws NixmakerError `io-error`; then nothing has changed
 */
export async function replacePath(
  context: Pick<NixContext, 'run' | 'store'>,
  { path, by }: { readonly path: StorePath; readonly by: StorePath },
): Promise<void> {
  const place = (name: StorePath) => join(storeFolder(context), toBaseName(name));
  const isThere = (await lstat(place(path)).catch(ifMissing(undefined))) !== undefined;
  const exchange = isThere ? ['--exchange'] : [];
  const args = [...exchange, '--no-copy', '--no-target-directory', place(by), place(path)];
  const result = await context.run('mv', args);
  if (result.exitCode !== 0)
    throw new NixmakerError(
      'io-error',
      `cannot replace ${path}: ${complaintOf(result, exitText(result.exitCode))}`,
    );
}
