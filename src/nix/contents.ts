/** A store path as it is on disk, read and hashed; and the stand-in under which its contents can be imported once more. */
import { createHash } from 'node:crypto';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isMissing } from '../core/errno.ts';
import { messageOf, NixmakerError } from '../core/errors.ts';
import { decodeNix32, encodeNix32 } from '../core/nix32.ts';
import { narDigest } from '../core/release/path-info.ts';
import type { OnDisk } from '../core/run/damage.ts';
import { fromBaseName, nameOf, type StorePath, storeDir, toBaseName } from '../core/store-path.ts';
import type { SignedPathInfo } from './daemon-wire.ts';
import { narOf } from './nar.ts';

/**
 * Whatever keeps a path from being read is a finding: a failing disk must not end the search.
 * @param folder where the store’s files are
 * @returns undefined if the signal came first
 */
export function readContents(folder: string, path: StorePath): Promise<OnDisk>;
export function readContents(
  folder: string,
  path: StorePath,
  signal?: AbortSignal,
): Promise<OnDisk | undefined>;
export async function readContents(
  folder: string,
  path: StorePath,
  signal?: AbortSignal,
): Promise<OnDisk | undefined> {
  const place = join(folder, toBaseName(path));
  const hash = createHash('sha256');
  try {
    await lstat(place);
  } catch (error) {
    return isMissing(error) ? { kind: 'missing' } : unreadable(error);
  }
  try {
    for await (const chunk of narOf(place)) {
      if (signal?.aborted === true) return undefined;
      hash.update(chunk);
    }
  } catch (error) {
    return unreadable(error);
  }
  return { kind: 'read', narHash: `sha256:${encodeNix32(hash.digest())}` };
}

const unreadable = (error: unknown): OnDisk => ({
  kind: 'unreadable',
  detail: messageOf(error).slice(0, 500),
});

/**
 * The store path that is named after a NAR and what it refers to.
 * (Nix src/libstore/store-dir-config.cc, makeFixedOutputPath, makeStorePath; src/libutil/hash.cc, compressHash)
 */
function pathOfContents(name: string, { narHash, references }: Named): StorePath | undefined {
  const digest = decodeNix32(narDigest({ narHash }), 32);
  if (digest === undefined) throw new NixmakerError('internal', `${narHash} is not a NAR hash`);
  const type = ['source', ...references].join(':');
  const named = `${type}:sha256:${Buffer.from(digest).toString('hex')}:${storeDir}:${name}`;
  const whole = createHash('sha256').update(named).digest();
  const short = Buffer.alloc(20);
  for (const [i, byte] of whole.entries()) short[i % 20] = (short[i % 20] as number) ^ byte;
  return fromBaseName(`${encodeNix32(short)}-${name}`);
}

interface Named {
  readonly narHash: string;
  /** Sorted; the path itself, if it is among them, as `self` at the end. */
  readonly references: readonly string[];
}

/** Whether the path’s own name says that these are its contents: then nobody needs to have signed it. */
export function isNamedAfter(path: StorePath, { narHash, references }: Named): boolean {
  const others = references.filter((r) => r !== path);
  const named = [...others, ...(others.length < references.length ? ['self'] : [])];
  return pathOfContents(nameOf(path), { narHash, references: named }) === path;
}

const standInName = 'nixmaker-repair';

/** Those in the store now: what a repair that was killed has left behind. @param folder where the store’s files are */
export async function listStandIns(folder: string): Promise<StorePath[]> {
  const names = await readdir(folder);
  return names.flatMap((name) => (name.endsWith(`-${standInName}`) ? (fromBaseName(name) ?? []) : []));
}

/**
 * Another path with these very contents, named after them: any client of Nix may add it, Nix checks the bytes against the name, and it is in
 * the store like any other. It claims no references; Nix does not look for any in it.
 */
export function standInOf({ narHash, narSize }: { narHash: string; narSize: number }): SignedPathInfo {
  const path = pathOfContents(standInName, { narHash, references: [] }) as StorePath;
  return { path, narHash, narSize, references: [], ca: `fixed:r:${narHash}`, signatures: [] };
}
