/** Moves a finished bundle out of the way, with a report beside it. Never overwrites, never copies. */
import { mkdir, rename } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { encryptedExtension } from '../core/bundle/encrypted.ts';
import { ifMissing } from '../core/errno.ts';
import { given } from '../core/given.ts';
import { openForeign, openForeignIn } from '../files/foreign.ts';
import { isThere } from '../files/read.ts';
import { writeBeside } from '../files/write.ts';
import type { Candidate } from './inbox.ts';
import { retainNewest } from './retain.ts';

/** The files a classic pair consists of, beside its tarball. */
export const classicCompanions = ['manifest.json', 'manifest.sig', 'index', 'meta'] as const;

export interface Archived {
  readonly bundle: string;
  readonly report: string;
  /** Older ones that were removed to make way. */
  readonly removed?: readonly string[];
}

/**
 * Moves the candidate to `<inbox>/<folder>/` and writes the report beside it.
 * A name already taken gets a number: web.tar, web.2.tar. The policy says how many older ones are kept.
 *
 * Threat: anybody who may write to the inbox may put a link in place of a folder, to make us move a file of their
 * choice to where they can't write. So both folders are opened without following links, and all names are taken
 * relative to what was opened.
 */
export async function archive(
  candidate: Candidate,
  { inbox, folder, report, keep }: { inbox: string; folder: string; report: string; keep: number },
): Promise<Archived> {
  await mkdir(join(inbox, folder), { recursive: true });
  const target = await openForeign(join(inbox, folder));
  try {
    const source = await openForeign(dirname(candidate.path));
    try {
      const name = await moveTo(candidate, { source: source.path, target: target.path });
      // Anybody who waits for the name finds the complete file.
      await writeBeside(join(target.path, `${name}.txt`), (out) => out.writeFile(report));
      const removed = await retainNewest(target.path, { newest: name, keep, companions: classicCompanions });
      return {
        bundle: join(inbox, folder, name),
        report: join(inbox, folder, `${name}.txt`),
        ...given({ removed: removed.length === 0 ? undefined : removed }),
      };
    } finally {
      await source.handle.close();
    }
  } finally {
    await target.handle.close();
  }
}

async function moveTo(
  candidate: Candidate,
  { source, target }: { source: string; target: string },
): Promise<string> {
  const file = basename(candidate.path);
  if (candidate.format === 'bundle') {
    const isEncrypted = file.toLowerCase().endsWith(encryptedExtension);
    const at = file.length - (isEncrypted ? encryptedExtension : extname(file)).length;
    const name = await freeName(target, { stem: file.slice(0, at), extension: file.slice(at) });
    await rename(join(source, file), join(target, name));
    return name;
  }
  const name = await freeName(target, { stem: file.slice(0, -'.tar.gz'.length), extension: '' });
  await mkdir(join(target, name));
  const { path: pair, handle } = await openForeignIn({ path: target }, name);
  try {
    for (const companion of classicCompanions)
      await rename(join(source, companion), join(pair, companion)).catch(ifMissing(undefined));
    await rename(join(source, file), join(pair, file));
  } finally {
    await handle.close();
  }
  return name;
}

async function freeName(
  folder: string,
  { stem, extension }: { stem: string; extension: string },
): Promise<string> {
  for (let n = 1; ; n++) {
    const name = n === 1 ? `${stem}${extension}` : `${stem}.${n}${extension}`;
    if (!(await isThere(join(folder, name))) && !(await isThere(join(folder, `${name}.txt`)))) return name;
  }
}
