/** Which files of a boot partition belong to which systems, by the names each loader’s builder gives its copies (boot-room.ts). */
import { realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ifNowhere } from '../core/errno.ts';
import type { StorePath } from '../core/store-path.ts';
import { storeDir } from '../core/store-path.ts';
import { namesIn } from '../files/read.ts';
import { copiedAs, layouts } from './boot-room.ts';

/** Bytes that each file takes there, by path. */
export type BootFiles = ReadonlyMap<string, number>;

/** Everything that builders have copied. */
export async function listBootFiles(bootDirectory: string): Promise<BootFiles> {
  const files = new Map<string, number>();
  for (const layout of layouts)
    for (const name of await namesIn(join(bootDirectory, layout), 'ENOTDIR')) {
      const path = join(bootDirectory, layout, name);
      const found = await stat(path).catch(ifNowhere(undefined));
      // What it takes, in whole blocks of that file system (stat(2)).
      if (found?.isFile() === true) files.set(path, found.blocks * 512);
    }
  return files;
}

/** Those files that are the kernel or initrd of a system or one of its specialisations. */
export async function filesOf(
  files: BootFiles,
  system: StorePath,
  store: string = storeDir,
): Promise<BootFiles> {
  const own = new Map<string, number>();
  for (const variant of [system, ...(await specialisationsOf(system))])
    for (const part of ['kernel', 'initrd'] as const) {
      const source = await realpath(join(variant, part)).catch(ifNowhere(undefined));
      if (source === undefined) continue;
      const isCopy = copiedAs(part, source, store);
      for (const [path, bytes] of files) if (await isCopy(path)) own.set(path, bytes);
    }
  return own;
}

/** A system’s, by their paths in it. */
export async function specialisationsOf(system: StorePath): Promise<StorePath[]> {
  const folder = join(system, 'specialisation');
  return (await namesIn(folder, 'ENOTDIR')).map((name) => join(folder, name) as StorePath);
}
