/** Old bundles in the inbox’s folders make way for new ones: a disk filled up with bundles already taken takes nothing more. */
import { lstat, lutimes, readdir, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { ifMissing, insteadOf } from '../core/errno.ts';
import { openForeignIn } from '../files/foreign.ts';

/**
 * Removes all but the newest archived bundles, and the reports beside them. What has no report was put there by somebody else, and stays.
 * Only files with known names are unlinked, never a tree: others may write here, and could swap a folder for a link in the meantime. Which
 * are the newest is decided without a clock: a machine that came up in 1970 would delete what it has just taken. The latest arrival gets a
 * time after all the others, so they stay in the order in which they arrived.
 * @param folder opened by the caller, so that it can’t be swapped
 * @param newest the one that has just been archived
 * @param companions the files beside the tarball in a classic pair’s folder
 * @returns the names of the bundles that were removed
 */
export async function retainNewest(
  folder: string,
  {
    newest,
    keep,
    companions,
  }: { readonly newest: string; readonly keep: number; readonly companions: readonly string[] },
): Promise<string[]> {
  const names = new Set(await readdir(folder));
  const archived: { name: string; at: number }[] = [];
  for (const name of names) {
    if (name === newest || !names.has(`${name}.txt`)) continue;
    archived.push({ name, at: (await lstat(join(folder, `${name}.txt`))).mtimeMs });
  }
  await putLast(join(folder, `${newest}.txt`), Math.max(0, ...archived.map(({ at }) => at)));
  const old = archived.toSorted((a, b) => b.at - a.at).slice(Math.max(0, keep - 1));
  for (const { name } of old) {
    await removeBundle({ folder, name, companions });
    await unlink(join(folder, `${name}.txt`)).catch(ifMissing(undefined));
  }
  return old.map(({ name }) => name);
}

/** Later than some file systems can record. */
const endOfTime = Date.parse('2400-01-01T00:00:00Z');

/** @param latest of the others, in milliseconds */
async function putLast(report: string, latest: number): Promise<void> {
  const { atime, mtimeMs } = await lstat(report);
  if (mtimeMs > latest || latest >= endOfTime) return;
  // A folder on a file system that does not keep such times: the next one is put last again.
  await lutimes(report, atime, new Date(Math.floor(latest) + 1)).catch(
    insteadOf(['EPERM', 'ENOSYS'], undefined),
  );
}

interface OldBundle {
  readonly folder: string;
  readonly name: string;
  readonly companions: readonly string[];
}

async function removeBundle({ folder, name, companions }: OldBundle): Promise<void> {
  const path = join(folder, name);
  if (!(await lstat(path)).isDirectory()) return unlink(path).catch(ifMissing(undefined));
  const { path: pair, handle } = await openForeignIn({ path: folder }, name);
  try {
    const tarballs = (await readdir(pair)).filter((file) => file.toLowerCase().endsWith('.tar.gz'));
    for (const file of [...companions, ...tarballs])
      await unlink(join(pair, file)).catch(ifMissing(undefined));
  } finally {
    await handle.close();
  }
  // Somebody else’s file in it keeps it from being removed.
  await rmdir(path).catch(insteadOf(['ENOTEMPTY'], undefined));
}
