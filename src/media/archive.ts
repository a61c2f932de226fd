/** Moving a bundle that is done with out of the way, with a report beside it. Never overwrites, never copies. */

import { constants } from 'node:fs';
import { lstat, mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { encryptedExtension } from '../core/bundle/encrypted.ts';
import { given } from '../core/given.ts';
import type { Candidate } from './inbox.ts';
import { retainNewest } from './retain.ts';

/** The files a classic pair consists of, beside its tarball. */
export const classicCompanions = ['manifest.json', 'manifest.sig', 'meta'] as const;

export interface Archived {
  readonly bundle: string;
  readonly report: string;
  /** Older ones that gave way. */
  readonly removed?: readonly string[];
}

/**
 * Moves the candidate to `<inbox>/<folder>/` and writes the report beside it.
 * A name taken already gets a number: web.tar, web.2.tar. Of older ones so many are kept as the policy says.
 *
 * Threat: whoever may write to the inbox may put a link in the place of a folder, to have us move a file of their
 * choice to where they can't write. So both folders are opened without following links, and all names are taken
 * relative to what was opened.
 */
export async function archive(
  candidate: Candidate,
  { inbox, folder, report, keep }: { inbox: string; folder: string; report: string; keep: number },
): Promise<Archived> {
  await mkdir(join(inbox, folder), { recursive: true });
  const target = await openFolder(join(inbox, folder));
  try {
    const source = await openFolder(dirname(candidate.path));
    try {
      const name = await moveTo(candidate, { source: source.path, target: target.path });
      await writeReport(join(target.path, `${name}.txt`), report);
      const removed = await retainNewest(target.path, { keep, companions: classicCompanions });
      return {
        bundle: join(inbox, folder, name),
        report: join(inbox, folder, `${name}.txt`),
        ...given({ removed: removed.length === 0 ? undefined : removed }),
      };
    } finally {
      await source.close();
    }
  } finally {
    await target.close();
  }
}

/** Whoever waits for the name finds all of it. (Not write-file-atomic: it would go through a link in the place of its draft.) */
async function writeReport(path: string, report: string): Promise<void> {
  const draft = join(dirname(path), `.${basename(path)}.part`);
  await rm(draft, { force: true });
  await writeFile(draft, report, { flag: 'wx', mode: 0o644 });
  await rename(draft, path);
}

/** A folder by its open descriptor (proc_pid_fd(5)): it stays the same folder whatever becomes of its name. */
async function openFolder(path: string): Promise<{ path: string; close: () => Promise<void> }> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  return { path: `/proc/self/fd/${handle.fd}`, close: () => handle.close() };
}

async function moveTo(
  candidate: Candidate,
  { source, target }: { source: string; target: string },
): Promise<string> {
  const file = basename(candidate.path);
  if (candidate.format === 'bundle') {
    const extension = file.endsWith(encryptedExtension) ? encryptedExtension : '.tar';
    const name = await freeName(target, { stem: basename(file, extension), extension });
    await rename(join(source, file), join(target, name));
    return name;
  }
  const name = await freeName(target, { stem: basename(file, '.tar.gz'), extension: '' });
  await mkdir(join(target, name));
  for (const companion of classicCompanions) {
    await rename(join(source, companion), join(target, name, companion)).catch(ignoreMissing);
  }
  await rename(join(source, file), join(target, name, file));
  return name;
}

async function freeName(
  folder: string,
  { stem, extension }: { stem: string; extension: string },
): Promise<string> {
  for (let n = 1; ; n++) {
    const name = n === 1 ? `${stem}${extension}` : `${stem}.${n}${extension}`;
    if (!(await exists(join(folder, name))) && !(await exists(join(folder, `${name}.txt`)))) return name;
  }
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
