/**
 * Nix may keep one file for many paths (`auto-optimise-store`, `nix store optimise`), linked from `.links` by the hash of its contents. If
 * that file is damaged, whatever is imported with these contents becomes a link to the damage (Nix src/libstore/optimise-store.cc,
 * optimisePath_, which compares sizes only).
 */
import { createHash } from 'node:crypto';
import { lstat, opendir, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { ifNowhere } from '../core/errno.ts';
import { encodeNix32 } from '../core/nix32.ts';
import { type StorePath, toBaseName } from '../core/store-path.ts';
import { narOf } from './nar.ts';

/** Unlinks those of the files in the path that are not what their link says. @returns how many */
export async function dropDamagedLinks(folder: string, path: StorePath): Promise<number> {
  const linked = new Set<number>();
  await addLinked(join(folder, toBaseName(path)), linked);
  if (linked.size === 0) return 0;
  const links = join(folder, '.links');
  const all = await opendir(links).catch(ifNowhere(undefined));
  let dropped = 0;
  for await (const { name } of all ?? []) {
    const file = join(links, name);
    const { ino } = await lstat(file);
    if (!linked.has(ino) || (await hashOf(file)) === name) continue;
    await unlink(file);
    dropped += 1;
  }
  return dropped;
}

async function addLinked(place: string, into: Set<number>): Promise<void> {
  const found = await lstat(place).catch(() => undefined);
  if (found?.isFile() === true && found.nlink > 1) into.add(found.ino);
  if (found?.isDirectory() !== true) return;
  for (const name of await readdir(place, { encoding: 'buffer' }).catch(() => []))
    await addLinked(Buffer.concat([Buffer.from(`${place}/`), name]).toString(), into);
}

async function hashOf(file: string): Promise<string | undefined> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of narOf(file)) hash.update(chunk);
  } catch {
    return undefined;
  }
  return encodeNix32(hash.digest());
}
