/** The binary cache folder that bundles are made from. */
import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { PieceReader } from '../../bundle/contents.ts';
import type { Source } from '../../bundle/sources.ts';
import { type Narinfo, parseNarinfo } from '../../core/bundle/narinfo.ts';
import { NixmakerError } from '../../core/errors.ts';
import { decodeNix32 } from '../../core/nix32.ts';
import type { Piece } from '../../core/release/contents-file.ts';
import { hashPart, type StorePath } from '../../core/store-path.ts';

/** A path, and the file that holds its NAR if the folder has one. */
export interface CachedPath extends Pick<Narinfo, 'path' | 'narSize' | 'references' | 'ca'> {
  /** sha256 in Nix’s base 32, without prefix. */
  readonly narHash: string;
  readonly file: CachedFile | undefined;
}

export type CachedFile = Pick<Piece, 'digest' | 'size'>;

/**
 * A binary cache folder that Nix fills. Each narinfo is read once, however many hosts carry its path. Derivers and foreign
 * signatures are ignored: they depend on where a path came from, and the same system must give the same bundle on any machine.
 */
export class CacheFolder {
  readonly path: string;
  readonly #known = new Map<StorePath, CachedPath>();
  /** Pieces stored elsewhere, by digest. */
  readonly #elsewhere = new Map<string, Source>();

  constructor(path: string) {
    this.path = path;
  }

  /** Sorted by path. @throws NixmakerError `bundle-malformed` if it isn’t such a cache; the file system’s own errors */
  closureOf(root: StorePath): CachedPath[] {
    const found = new Set([root]);
    for (const path of found) for (const reference of this.#read(path).references) found.add(reference);
    return [...found].sort().map((path) => this.#read(path));
  }

  /** A path the folder need not hold. @param source where its piece is stored */
  add(path: CachedPath, source?: Source): void {
    this.#known.set(path.path, path);
    if (path.file !== undefined && source !== undefined) this.#elsewhere.set(path.file.digest, source);
  }

  /** Where a whole piece is stored. */
  sourceOf(piece: Pick<Piece, 'digest'>): Source {
    return this.#elsewhere.get(piece.digest) ?? { path: this.fileOf(piece) };
  }

  /** Flat, the way Nix writes it. */
  fileOf({ digest }: Pick<Piece, 'digest'>): string {
    return join(this.path, 'nar', `${digest}.nar.zst`);
  }

  get reader(): PieceReader {
    return {
      // Opened for each chunk: thousands of small files are read in one go.
      readInto: async (piece, buffer, position) => {
        const file = await open(this.fileOf(piece), 'r');
        try {
          return (await file.read(buffer, 0, buffer.length, position)).bytesRead;
        } finally {
          await file.close();
        }
      },
    };
  }

  #read(path: StorePath): CachedPath {
    const known = this.#known.get(path);
    if (known !== undefined) return known;
    const name = join(this.path, `${hashPart(path)}.narinfo`);
    const info = parseNarinfo(readFileSync(name, 'utf8'));
    if (info.path !== path) throw new NixmakerError('bundle-malformed', `${name} describes ${info.path}`);
    const read = { ...info, narHash: digestOf(info.narHash, name), file: this.#file(info, name) };
    this.#known.set(path, read);
    return read;
  }

  /** Nothing that was left out (leave-out.ts). */
  #file({ url, compression, fileHash, fileSize }: Narinfo, name: string): CachedFile | undefined {
    if (compression === 'none') return undefined;
    const digest = digestOf(fileHash, name);
    if (compression !== 'zstd' || url !== `nar/${digest}.nar.zst`)
      throw new NixmakerError(
        'bundle-malformed',
        `${name}: ${url} is not compressed with zstd, or is misnamed`,
      );
    return { digest, size: fileSize };
  }
}

/** sha256 in base 32, the way Nix writes hashes in narinfos. */
function digestOf(hash: string, name: string): string {
  const digest = hash.replace(/^sha256:/, '');
  if (hash === digest || decodeNix32(digest, 32) === undefined)
    throw new NixmakerError('bundle-malformed', `${name}: ${hash} is not a sha256 in base 32`);
  return digest;
}
