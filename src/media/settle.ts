/** Moving a settled bundle out of the way, with a report beside it. Never overwrites, never copies. */
import { lstat, mkdir, rename, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Candidate } from './inbox.ts';

/** The files a classic pair consists of, beside its tarball. */
export const classicCompanions = ['manifest.json', 'manifest.sig', 'meta'] as const;

export interface Settled {
  readonly bundle: string;
  readonly report: string;
}

/**
 * Moves the candidate to `<inbox>/<folder>/` and writes the report beside it.
 * A name taken already gets a number: web.tar, web.2.tar.
 */
export async function settle(
  candidate: Candidate,
  { inbox, folder, report }: { inbox: string; folder: string; report: string },
): Promise<Settled> {
  const target = join(inbox, folder);
  await mkdir(target, { recursive: true });
  const extension = candidate.format === 'bundle' ? '.tar' : '';
  const stem = basename(candidate.path, candidate.format === 'bundle' ? '.tar' : '.tar.gz');
  const destination = await freeName(target, stem, extension);
  if (candidate.format === 'bundle') await rename(candidate.path, destination);
  else await moveClassic(candidate.path, destination);
  const reportPath = `${destination}.txt`;
  await writeFile(reportPath, report, { flag: 'wx', mode: 0o644 });
  return { bundle: destination, report: reportPath };
}

async function moveClassic(tarball: string, destination: string): Promise<void> {
  await mkdir(destination);
  for (const name of classicCompanions) {
    await rename(join(dirname(tarball), name), join(destination, name)).catch(ignoreMissing);
  }
  await rename(tarball, join(destination, basename(tarball)));
}

async function freeName(folder: string, stem: string, extension: string): Promise<string> {
  for (let n = 1; ; n++) {
    const path = join(folder, n === 1 ? `${stem}${extension}` : `${stem}.${n}${extension}`);
    if (!(await exists(path)) && !(await exists(`${path}.txt`))) return path;
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
