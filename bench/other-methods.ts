/**
 * What other methods would carry from one tree to the next: new whole files, as a file-level method does, each compressed the way nixmaker
 * compresses; and new chunks, as casync cuts, compresses and names them. Nothing else is counted: no index, no signature.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { constants, zstdCompressSync } from 'node:zlib';
import { run } from '../test/machines/program.ts';
import { must } from './system.ts';

const compressed = (bytes: Uint8Array): number =>
  zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 3 } }).length;

/** What a tree consists of: each file’s or chunk’s compressed size, by its digest. */
export interface Parts {
  readonly files: ReadonlyMap<string, number>;
  /** Undefined without casync. */
  readonly chunks: ReadonlyMap<string, number> | undefined;
}

/** Compressed once, however many trees have it. */
const known = new Map<string, number>();

/**
 * @param folders of store paths
 * @param place for a tree of them, and casync’s chunks; on the same file system, and empty again afterwards
 */
export async function partsOf(folders: readonly string[], place: string): Promise<Parts> {
  return { files: await filesOf(folders), chunks: await chunksOf(folders, place) };
}

async function filesOf(folders: readonly string[]): Promise<Map<string, number>> {
  const files = new Map<string, number>();
  for (const folder of folders)
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const bytes = await readFile(join(entry.parentPath, entry.name));
      const digest = createHash('sha256').update(bytes).digest('base64');
      const size = known.get(digest) ?? compressed(bytes);
      known.set(digest, size);
      files.set(digest, size);
    }
  return files;
}

/** Of 64 KiB on average, which is its default. */
async function chunksOf(folders: readonly string[], place: string): Promise<Map<string, number> | undefined> {
  const casync = process.env.NIXMAKER_CASYNC;
  if (casync === undefined) return undefined;
  const [tree, store] = [join(place, 'tree'), join(place, 'chunks.castr')];
  await mkdir(tree, { recursive: true });
  for (const folder of folders) must(await run('cp', ['--archive', '--link', folder, tree]));
  const make = ['make', `--store=${store}`, join(place, 'tree.caidx'), tree];
  must(await run(casync, make));
  const chunks = new Map<string, number>();
  for (const entry of await readdir(store, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) chunks.set(entry.name, (await stat(join(entry.parentPath, entry.name))).size);
  // Only the folders: the files are the store’s own.
  must(await run('find', [tree, '-type', 'd', '-exec', 'chmod', 'u+w', '{}', '+']));
  await rm(place, { recursive: true });
  return chunks;
}

/** Bytes of what is new. */
export const newIn = (before: ReadonlyMap<string, number>, now: ReadonlyMap<string, number>): number =>
  [...now].reduce((sum, [digest, size]) => sum + (before.has(digest) ? 0 : size), 0);
