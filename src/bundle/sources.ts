/** Where pieces are before they are in a bundle or on a medium: mostly in a few files, one after another. */
import { closeSync, openSync, readSync } from 'node:fs';
import type { Piece } from '../core/release/contents-file.ts';
import type { PieceReader } from './contents.ts';

/** Where a piece’s bytes are. */
export interface Source {
  readonly path: string;
  /** If unset, the file holds only this piece. */
  readonly position?: number;
  /** Its checksum (piece-sum.ts) when it was made, if that is known. */
  readonly sum?: string;
}

export interface OpenSource extends Source {
  readonly file: number;
}

/** The last file stays open, because most pieces may be in one. */
export class Sources {
  #last: OpenSource | undefined;

  open(source: Source): OpenSource {
    if (this.#last?.path !== source.path) {
      this.close();
      this.#last = { ...source, file: openSync(source.path, 'r') };
    }
    return { ...source, file: (this.#last as OpenSource).file };
  }

  close(): void {
    if (this.#last !== undefined) closeSync(this.#last.file);
    this.#last = undefined;
  }
}

/**
 * Read synchronously: most of it was just written and is in memory; going through the thread pool for each of thousands of
 * pieces would take longer than everything else.
 */
export class SourceReader implements PieceReader {
  readonly #sourceOf: (piece: Piece) => Source;
  readonly #sources = new Sources();

  constructor(sourceOf: (piece: Piece) => Source) {
    this.#sourceOf = sourceOf;
  }

  async readInto(piece: Piece, buffer: Buffer, position: number): Promise<number> {
    const { file, position: from = 0 } = this.#sources.open(this.#sourceOf(piece));
    let done = 0;
    while (done < buffer.length) {
      const got = readSync(file, buffer, done, buffer.length - done, from + position + done);
      if (got === 0) break;
      done += got;
    }
    return done;
  }

  fileOf(piece: Piece): string | undefined {
    const { path, position } = this.#sourceOf(piece);
    return position === undefined ? path : undefined;
  }

  close(): void {
    this.#sources.close();
  }
}
