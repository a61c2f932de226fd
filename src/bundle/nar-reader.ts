/** The NARs of an opened bundle’s paths, decompressed or restored, and yielded only if they are what was signed. */

import { createHash, type Hash } from 'node:crypto';
import { setImmediate as othersFirst } from 'node:timers/promises';
import { messageOf, NixmakerError } from '../core/errors.ts';
import { giveBack } from '../core/memory.ts';
import { encodeNix32 } from '../core/nix32.ts';
import { type Piece, pieceName } from '../core/release/contents-file.ts';
import type { PathInfo } from '../core/release/path-info.ts';
import type { StorePath } from '../core/store-path.ts';
import { damaged, isIntact, type PieceReader, readPiece, streamPiece } from './contents.ts';
import { type Bytes, restoreNar } from './delta.ts';
import { atOnceBytes, decompress, decompressAtOnce } from './zstd.ts';

/**
 * 8 MiB: all that decoders must accept (RFC 8878, 3.1.1.1.2), and all that Nix’s levels use. Threat: pieces are not signed, so whoever
 * hands over a medium could choose how much memory a larger window takes.
 */
export const windowLogMax = 23;

/** The NAR of a path this machine has, from which deltas are restored. */
export type BaseNar = (path: StorePath) => Bytes;

/** Hashed before others have their turn: a seventh of a millisecond. A socket to the daemon holds no more than this. */
const turnBytes = 256 * 1024;

export class NarReader {
  readonly #reader: PieceReader;
  readonly #narOf: BaseNar;

  constructor(reader: PieceReader, narOf: BaseNar) {
    this.#reader = reader;
    this.#narOf = narOf;
  }

  /**
   * Yields the NAR, but its last chunk only once the size and hash of the whole are those signed: whoever reads to the end has
   * read what was signed. The chunks are nobody else’s.
   * @throws NixmakerError `bundle-altered`, `bundle-truncated`, `bundle-malformed`, `base-missing`, `io-error`
   */
  async *read(info: PathInfo, piece: Piece): AsyncGenerator<Buffer, void, void> {
    const hash = createHash('sha256');
    let size = 0;
    let held: Buffer | undefined;
    try {
      for await (const chunk of this.#given(info, piece)) {
        size += chunk.length;
        if (size > info.narSize) break;
        if (chunk.length <= turnBytes) hash.update(chunk);
        else await hashInTurns(hash, chunk);
        if (held !== undefined) yield held;
        held = chunk;
      }
    } catch (error) {
      if (error instanceof NixmakerError) throw error;
      throw await this.#fault(info, piece, messageOf(error));
    }
    if (size !== info.narSize || `sha256:${encodeNix32(hash.digest())}` !== info.narHash)
      throw await this.#fault(info, piece, 'its contents are not what was signed');
    if (held !== undefined) yield held;
  }

  async *#given({ narSize }: PathInfo, piece: Piece): AsyncGenerator<Buffer, void, void> {
    if (piece.kind === 'delta') {
      const patch = { size: piece.size, chunks: streamPiece(this.#reader, piece) };
      yield* restoreNar({ piece, narSize }, { base: this.#narOf(piece.base), patch });
      return;
    }
    const frame = { size: narSize, windowLogMax };
    if (piece.size > atOnceBytes || narSize > atOnceBytes) {
      yield* decompress(streamPiece(this.#reader, piece), frame);
      return;
    }
    const compressed = await readPiece(this.#reader, piece, Buffer.allocUnsafe(piece.size));
    yield await decompressAtOnce(compressed, frame).finally(() => giveBack(compressed));
  }

  /** Damage, or a `contents` that lies: the bundle’s maker and its carrier must be told apart. */
  async #fault({ path }: PathInfo, piece: Piece, why: string): Promise<NixmakerError> {
    if (!(await isIntact(this.#reader, piece))) return damaged(piece);
    return new NixmakerError('bundle-malformed', `cannot use ${pieceName(piece)} for ${path}: ${why}`);
  }
}

/** Threat: time. Meanwhile, the last one’s bytes are still on their way to Nix, which would wait for them. */
async function hashInTurns(hash: Hash, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; at += turnBytes) {
    if (at > 0) await othersFirst();
    hash.update(bytes.subarray(at, at + turnBytes));
  }
}
