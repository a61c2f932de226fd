/** Free space. Decisions use fs.statfs; the table for people uses node-disk-info (df), which may round and clip. */
import { stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isMissing } from '../core/errno.ts';
import type { Space } from '../core/room.ts';

/** What an unprivileged process may still use on the file system that `path` is on, or will be. */
export async function spaceAt(path: string): Promise<Space> {
  const { bavail, bsize, files, ffree } = await statfs(path).catch((error: unknown) => {
    if (!isMissing(error) || path === dirname(path)) throw error;
    return statfs(dirname(path));
  });
  // Some file systems (btrfs) count no inodes, and report 0 of 0; full is 0 of more.
  return { freeBytes: bavail * bsize, freeInodes: files === 0 ? undefined : ffree };
}

/** Bytes free at the folder, if it is on another file system than `other`; undefined if it is on the same. */
export async function freeApartFrom(folder: string, other: string): Promise<number | undefined> {
  if ((await stat(folder)).dev === (await stat(other)).dev) return undefined;
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

export interface DiskRow {
  readonly mounted: string;
  readonly fileSystem: string;
  readonly freeBytes: number;
  readonly totalBytes: number;
}

/** This machine’s disks, for people to look at; memory file systems are left out. */
export async function listDisks(): Promise<DiskRow[]> {
  const memory = new Set(['tmpfs', 'devtmpfs', 'udev', 'none', 'overlay', 'shm']);
  // Half a megabyte of code that the agent need not keep loaded.
  const { default: diskInfo } = await import('node-disk-info');
  const disks = await diskInfo.getDiskInfo();
  return disks
    .filter((d) => !memory.has(d.filesystem))
    .map((d) => ({
      mounted: d.mounted,
      fileSystem: d.filesystem,
      // df -P counts in blocks of 1024 bytes.
      freeBytes: d.available * 1024,
      totalBytes: d.blocks * 1024,
    }));
}
