/** Where a build’s compressed pieces are put, until they are in its bundles or kept for the next build. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hashPart, type StorePath } from '../../core/store-path.ts';
import { piecesFile } from './kept-list.ts';

/** Small ones one after another in one file: creating a file for each would take longer than compressing it. */
export class Place {
  readonly folder: string;
  readonly isKept: boolean;
  readonly path: string;
  readonly #file: number;
  #bytes = 0;

  /** @param isKept for the next build */
  constructor(folder: string, isKept: boolean) {
    this.folder = folder;
    this.isKept = isKept;
    this.path = join(folder, piecesFile);
    this.#file = openSync(this.path, 'w', 0o644);
  }

  /** Synchronous, so that nothing comes in between. @returns where it begins */
  append(chunks: readonly Buffer[]): { readonly path: string; readonly position: number } {
    const position = this.#bytes;
    for (const bytes of chunks) {
      const from = this.#bytes;
      // First: what is written after a full disk must not begin within what was cut off.
      this.#bytes += bytes.length;
      for (let done = 0; done < bytes.length; )
        done += writeSync(this.#file, bytes, done, bytes.length - done, from + done);
    }
    return { path: this.path, position };
  }

  /** A large one. @returns its file */
  async writeOwn(path: StorePath, chunks: readonly Buffer[]): Promise<{ readonly path: string }> {
    const own = this.ownFile(path);
    await writeFile(own, chunks, { mode: 0o644 });
    return { path: own };
  }

  /** For one that comes as a stream. */
  ownFile(path: StorePath): string {
    return join(this.folder, `${hashPart(path)}.zst`);
  }

  close(): void {
    closeSync(this.#file);
  }
}
