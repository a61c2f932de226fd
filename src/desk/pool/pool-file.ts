/** A file below a pool’s `cache/`, the way `put` writes it and reads it back. */
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { PieceReader } from '../../bundle/contents.ts';
import { readSmall } from '../../bundle/file.ts';
import { cacheOf } from '../../bundle/pool.ts';
import { hasContents, hasSize, type WriteOptions, writePieceFile } from '../../bundle/pool-write.ts';
import { type Piece, pieceName } from '../../core/release/contents-file.ts';
import { holdsPastCache } from '../../files/past-cache.ts';
import { writeBeside } from '../../files/write.ts';

export interface PoolFile {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** A quick check; whether it is intact is read later. */
  isThere(): Promise<boolean>;
  /** Reads all of it. */
  isGood(onBytes?: (bytes: number) => void): Promise<boolean>;
  write(options: WriteOptions): Promise<void>;
}

/** A piece can be large, and split into parts. */
export function pieceFile(
  medium: string,
  { reader, piece }: { readonly reader: PieceReader; readonly piece: Piece },
): PoolFile {
  const path = join(cacheOf(medium), pieceName(piece));
  return {
    path,
    size: piece.size,
    isThere: async () => hasSize(path, piece),
    isGood: (onBytes) => hasContents(path, piece, onBytes),
    write: async (options) => {
      await writePieceFile(path, { reader, piece }, options);
    },
  };
}

/** For bytes in memory. It only gets its name once complete: others rely on what is there. */
export function smallFile(
  medium: string,
  { name, bytes }: { readonly name: string; readonly bytes: Buffer },
): PoolFile {
  const path = join(cacheOf(medium), name);
  const isThere = async () => {
    // Larger ones are something else.
    const there = await readSmall(path, bytes.length).catch(() => undefined);
    return there?.equals(bytes) === true;
  };
  return {
    path,
    size: bytes.length,
    isThere,
    isGood: async (onBytes) => {
      const good = await holdsPastCache(path, bytes);
      onBytes?.(bytes.length);
      return good;
    },
    write: async ({ onBytes }) => {
      await mkdir(dirname(path), { recursive: true });
      await writeBeside(path, (out) => out.writeFile(bytes));
      onBytes?.(bytes.length);
    },
  };
}
