/**
 * Manifest and signatures of each release in a pool, read on this thread (files/foreign-now.ts). For verbs of the desk: a target reads its own
 * host’s, with a deadline (pool.ts).
 */
import type { Dirent } from 'node:fs';
import { join } from 'node:path';
import { naturally } from '../core/alike.ts';
import { hasErrno, isMissing } from '../core/errno.ts';
import { NixmakerError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import { isHostName } from '../core/schema.ts';
import { openForeign } from '../files/foreign.ts';
import { entriesNow, type FolderNow, inFolderNow } from '../files/foreign-now.ts';
import { notReadable, readSmallNow } from './file-now.ts';
import type { HeadFiles } from './head-files.ts';
import { foldersAmong, hostsOf, sequencesAmong } from './pool.ts';

export interface PoolHead {
  /** With these files in it. */
  readonly folder: string;
  /** @returns undefined if either is missing (so far) @throws NixmakerError `not-a-bundle`, `bundle-malformed`, `io-error` */
  readonly read: () => HeadFiles | undefined;
}

/** Is given the system’s error for a folder that can’t be listed. */
type OnFault = (folder: string, error: unknown) => void;

/**
 * Hosts in the order people look for them, each one’s highest sequence first; nothing if there is no pool. A folder that can’t be listed hides
 * none of the others.
 */
export async function* eachHead(root: string, onFault: OnFault): AsyncGenerator<PoolHead, void, void> {
  const place = hostsOf(root);
  const opened = await openForeign(place, 'follow').catch((e: unknown) => missed(e, place, onFault));
  if (opened === undefined) return;
  const listed = (folder: string, list: () => readonly Dirent[]): string[] => {
    try {
      return foldersAmong(list());
    } catch (error) {
      missed(error, folder, onFault);
      return [];
    }
  };
  try {
    const hosts = listed(place, () => entriesNow(opened)).filter(isHostName);
    for (const host of hosts.sort(naturally)) {
      const folder = join(place, host);
      const names = listed(folder, () => inFolderNow(opened, host, entriesNow));
      for (const sequence of sequencesAmong(names)) {
        const name = String(sequence);
        const shown = join(folder, name);
        yield { folder: shown, read: () => readHead(opened, { host, name, shown }) };
      }
    }
  } finally {
    await opened.handle.close();
  }
}

/** Any of them may vanish, or become a link, between being listed and being read. */
function missed(error: unknown, folder: string, onFault: OnFault): undefined {
  if (!hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) onFault(folder, error);
}

interface Place {
  readonly host: string;
  readonly name: string;
  readonly shown: string;
}

function readHead(hosts: FolderNow, { host, name, shown }: Place): HeadFiles | undefined {
  const read = (folder: FolderNow, file: string, most: number) =>
    readSmallNow(folder, file, { most, shown: join(shown, file) });
  try {
    return inFolderNow(hosts, host, (ofHost) =>
      inFolderNow(ofHost, name, (folder) => {
        const manifestBytes = read(folder, 'manifest.json', limits.manifestBytes);
        const signatureBytes = read(folder, 'manifest.sig', limits.signatureFileBytes);
        if (manifestBytes === undefined || signatureBytes === undefined) return undefined;
        return { manifestBytes, signatureBytes };
      }),
    );
  } catch (error) {
    if (error instanceof NixmakerError) throw error;
    if (isMissing(error)) return undefined;
    throw notReadable(error);
  }
}
