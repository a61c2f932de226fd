/**
 * Paths that Nix’s database calls valid and whose files are gone, all or some of them.
 *
 * A collection deletes a path’s row, then its files (Nix src/libstore/gc.cc, deleteFromStore). The row goes into SQLite’s log, which nobody
 * flushes (src/libstore/local-store.cc, openDB: synchronous = normal), while a file system has deletions on disk within seconds, or sooner
 * if anybody flushes anything. A power cut in between brings back the row and not the files. Threat: a later release has that very path. It
 * is valid, so it is not imported, and the machine starts a system that lacks files.
 */
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as othersFirst } from 'node:timers/promises';
import { isMissing } from '../core/errno.ts';
import { NixmakerError } from '../core/errors.ts';
import { type StorePath, toBaseName } from '../core/store-path.ts';
import type { NixContext } from './command.ts';
import { readContents } from './contents.ts';
import { storeFolder } from './store.ts';

/** All of its files, or some. */
export type Lost = 'gone' | 'torn';

export interface Looking {
  /** What Nix’s database says about the few that are read. */
  readonly infosOf: (
    open: readonly StorePath[],
  ) => Promise<ReadonlyMap<StorePath, { readonly narHash: string }>>;
  /** Asked now and then; ends it by throwing. */
  readonly goOn?: () => Promise<void>;
}

/** Entries that are looked at in one go. A disk at rest may take a second for them. */
const portion = 256;

/**
 * All that are gone, or whose deletion was cut off. Only an entry is looked at for each, and the contents of one that looks as if somebody
 * was deleting it; so this finds what deletions leave, and no other damage (machine/check-contents.ts).
 * @throws NixmakerError `nix-failed` if the context’s signal came; what the two throw
 */
export async function findLost(
  context: NixContext,
  paths: Iterable<StorePath>,
  { infosOf, goOn = () => othersFirst() }: Looking,
): Promise<Map<StorePath, Lost>> {
  const lost = new Map<StorePath, Lost>();
  if (!canLose(context)) return lost;
  const folder = storeFolder(context);
  const open: StorePath[] = [];
  let looked = 0;
  for (const path of paths) {
    looked += 1;
    if (looked % portion === 0) await goOn();
    const looks = lookAt(join(folder, toBaseName(path)));
    if (looks === 'gone') lost.set(path, 'gone');
    if (looks === 'open') open.push(path);
  }
  if (open.length === 0) return lost;
  const infos = await infosOf(open);
  for (const path of open) {
    const due = infos.get(path)?.narHash;
    // Invalid by now: somebody is deleting it.
    if (due === undefined) continue;
    await goOn();
    const contents = await readContents(folder, path, context.signal);
    if (contents === undefined) throw new NixmakerError('nix-failed', `${path} was not read to its end`);
    if (contents.kind === 'missing') lost.set(path, 'gone');
    else if (contents.kind !== 'read' || contents.narHash !== due) lost.set(path, 'torn');
  }
  return lost;
}

/** Whether it is known where the store’s files are. Given by another URI they may be anywhere, and all of them would look gone. */
export const canLose = ({ store, daemonSocket }: NixContext): boolean =>
  daemonSocket !== undefined ||
  store === undefined ||
  store === 'auto' ||
  store === 'local' ||
  store.startsWith('/');

/** Seconds since 1970: the time of everything in a store (Nix src/libstore/posix-fs-canonicalise.cc, mtimeStore). */
const storeTime = 1;

/**
 * `open`: a folder that is not as Nix leaves one when it is complete. A deletion first makes it writable, and only then takes away what is
 * in it (Nix src/libutil/unix/file-system.cc, _deletePath; at least since 2.3), and file systems keep that order.
 */
function lookAt(place: string): 'gone' | 'open' | 'closed' {
  try {
    const found = lstatSync(place);
    const isOpen =
      found.isDirectory() && ((found.mode & 0o222) !== 0 || Math.floor(found.mtimeMs / 1000) !== storeTime);
    return isOpen ? 'open' : 'closed';
  } catch (error) {
    // What a disk no longer gives is read, and then it is known.
    return isMissing(error) ? 'gone' : 'open';
  }
}
