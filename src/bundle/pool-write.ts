/** Writing into a pool. Nothing an entry in the pool relies on is overwritten, nor anything that belongs to others. */
import { createHash } from 'node:crypto';
import { constants, lstatSync, statSync } from 'node:fs';
import { copyFile, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { encodeNix32 } from '../core/nix32.ts';
import type { Piece } from '../core/release/contents-file.ts';
import { holdsPastCache, readPastCache } from '../files/past-cache.ts';
import { damaged, type PieceReader, streamPiece } from './contents.ts';
import { partBytes, partName, partsNow } from './parts.ts';
import { draftOf, entryFiles, partsName, sbomName } from './pool.ts';

/** Whether the file at `path` has the piece’s size: its contents are still to be checked. */
export function hasSize(path: string, { size }: Pick<Piece, 'size'>): boolean {
  return isOfSize(partsNow(path), size);
}

const isOfSize = (files: ReturnType<typeof partsNow>, size: number): boolean =>
  files.length > 0 && files.reduce((sum, file) => sum + file.size, 0) === size;

/** Reads the file at `path` back from the medium, and compares its digest. */
export async function hasContents(
  path: string,
  piece: Piece,
  onBytes?: (bytes: number) => void,
): Promise<boolean> {
  const files = partsNow(path);
  if (!isOfSize(files, piece.size)) return false;
  const hash = createHash('sha256');
  for (const file of files)
    await readPastCache(file.path, (chunk) => {
      hash.update(chunk);
      onBytes?.(chunk.length);
    });
  return encodeNix32(hash.digest()) === piece.digest;
}

export interface WriteOptions {
  /** Size limit of a file in bytes; anything larger is split. */
  readonly largest?: number;
  readonly onBytes?: (bytes: number) => void;
}

/**
 * Writes a piece's bytes to `path`, in parts if it is larger than a file may be. The manifest, written last, makes this
 * all or nothing; reading back makes sure that the bytes are right.
 * @returns the files written
 * @throws NixmakerError `bundle-altered` if the source is damaged
 */
export async function writePieceFile(
  path: string,
  { reader, piece }: { readonly reader: PieceReader; readonly piece: Piece },
  { largest = partBytes, onBytes }: WriteOptions = {},
): Promise<string[]> {
  const folder = dirname(path);
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true)
    await mkdir(folder, { recursive: true });
  await removeParts(path);
  const whole = piece.size <= largest;
  const from = whole ? reader.fileOf?.(piece) : undefined;
  if (from !== undefined && (await isCloned(from, path))) {
    if (!(await hasContents(path, piece, onBytes))) throw damaged(piece);
    return [path];
  }
  const files = Array.from({ length: whole ? 1 : Math.ceil(piece.size / largest) }, (_, i) =>
    whole ? path : partName(path, i),
  );
  const hash = createHash('sha256');
  let written = 0;
  let out = await open(files[0] as string, 'w', 0o644);
  try {
    for await (const chunk of streamPiece(reader, piece)) {
      hash.update(chunk);
      for (let rest = chunk; rest.length > 0; ) {
        const room = largest - (written % largest);
        if (written > 0 && room === largest) {
          await out.close();
          out = await open(files[written / largest] as string, 'w', 0o644);
        }
        const bytes = rest.subarray(0, room);
        await out.writeFile(bytes);
        written += bytes.length;
        onBytes?.(bytes.length);
        rest = rest.subarray(bytes.length);
      }
    }
  } finally {
    await out.close();
  }
  if (encodeNix32(hash.digest()) !== piece.digest) throw damaged(piece);
  return files;
}

/** Without copying, if the file system can share the bytes (ioctl_ficlone(2)). Any error here will recur when copying. */
const isCloned = (from: string, to: string): Promise<boolean> =>
  copyFile(from, to, constants.COPYFILE_FICLONE_FORCE).then(
    () => true,
    () => false,
  );

/** What an earlier, interrupted write may have left: the whole file where there are parts now, or the reverse; and links, wherever they lead. */
async function removeParts(path: string): Promise<void> {
  await removed(path);
  for (let i = 0; await removed(partName(path, i)); i++);
}

/** Asked on this thread: of thousands of pieces, hardly any has left something. @returns whether there was one */
async function removed(path: string): Promise<boolean> {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return false;
  await rm(path);
  return true;
}

/** An entry’s files. */
export type EntryFiles = Readonly<Record<(typeof entryFiles)[number], Uint8Array>> & {
  /** If the medium is one of several. */
  readonly [partsName]?: Uint8Array | undefined;
  /** If it was asked for. */
  readonly [sbomName]?: Uint8Array | undefined;
};

/** Those that are to be there. */
const filesIn = (files: EntryFiles): [string, Uint8Array][] =>
  [...entryFiles, partsName, sbomName].flatMap((name): [string, Uint8Array][] => {
    const bytes = files[name as keyof EntryFiles];
    return bytes === undefined ? [] : [[name, bytes]];
  });

/** Writes a host's files into a folder that nobody reads yet. @returns the folder */
export async function prepareEntry(folder: string, files: EntryFiles): Promise<string> {
  const temporary = join(dirname(folder), draftOf(basename(folder)));
  await rm(temporary, { recursive: true, force: true });
  await mkdir(temporary, { recursive: true });
  for (const [name, bytes] of filesIn(files)) await writeFile(join(temporary, name), bytes);
  return temporary;
}

/** Gives a prepared folder its name: from then on a target may take it. */
export async function publishEntry(temporary: string, folder: string): Promise<void> {
  // There may be one without a manifest, and FAT would refuse to rename over it.
  await rm(folder, { recursive: true, force: true });
  await rename(temporary, folder);
}

/** The same manifest is already there: whatever differs or is missing is repaired, and the entry counts throughout. */
export async function completeEntry(folder: string, files: EntryFiles): Promise<void> {
  // The medium may have been one of several before. A list of what is in this very release stays right.
  if (files[partsName] === undefined) await rm(join(folder, partsName), { force: true });
  for (const [name, bytes] of filesIn(files)) {
    const path = join(folder, name);
    const there = await readFile(path).catch(() => undefined);
    if (there?.equals(bytes) === true) continue;
    const temporary = join(folder, draftOf(name));
    await writeFile(temporary, bytes);
    await rename(temporary, path);
  }
}

/** Whether the medium returns the entry’s files as written. @returns the first that differs; undefined if all is well */
export async function findDamaged(folder: string, files: EntryFiles): Promise<string | undefined> {
  for (const [name, bytes] of filesIn(files)) {
    const path = join(folder, name);
    if (!(await holdsPastCache(path, bytes))) return path;
  }
  return undefined;
}
