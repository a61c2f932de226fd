/** The pieces of an opened bundle: compressed NARs, and deltas to NARs that the target has. */
import { createHash } from 'node:crypto';
import { NixmakerError } from '../core/errors.ts';
import { encodeNix32 } from '../core/nix32.ts';
import { type Piece, pieceName } from '../core/release/contents-file.ts';
import { distinctPieces } from './members.ts';
import type { Release } from './release.ts';

/** Bytes read at a time; memory use is a small multiple of this, whatever the bundle's size. */
const chunkSize = 256 * 1024;

/** Where pieces’ bytes come from: one tar file, or a pool on a medium. Nothing from it is trusted unchecked. */
export interface PieceReader {
  /** Fills `buffer` from byte `position` of the piece; returns how many bytes there were. */
  readInto(piece: Piece, buffer: Buffer, position: number): Promise<number>;
  /** A file that holds only this piece, if there is one: it may be usable without copying. */
  fileOf?(piece: Piece): string | undefined;
}

export interface OpenedBundle extends Release {
  readonly reader: PieceReader;
}

/**
 * The bytes as they come. Only their number is checked: once decompressed, they must be what was signed.
 * @param into as long as the piece
 * @throws NixmakerError `bundle-truncated`, `io-error`
 */
export async function readPiece(reader: PieceReader, piece: Piece, into: Buffer): Promise<Buffer> {
  if ((await reader.readInto(piece, into, 0)) < piece.size) throw truncated(piece);
  return into;
}

/** The same in chunks. The buffers are not reused, because they may still be in flight. */
export async function* streamPiece(reader: PieceReader, piece: Piece): AsyncGenerator<Buffer, void, void> {
  for (let done = 0; done < piece.size; ) {
    const chunk = Buffer.allocUnsafe(Math.min(chunkSize, piece.size - done));
    if ((await reader.readInto(piece, chunk, done)) < chunk.length) throw truncated(piece);
    done += chunk.length;
    yield chunk;
  }
}

/**
 * Whether the bytes are those `contents` announces. This tells damage from a lie; NAR hashes alone decide what is imported.
 * @throws NixmakerError `bundle-truncated`, `io-error`
 */
export async function isIntact(
  reader: PieceReader,
  piece: Piece,
  {
    buffer = Buffer.allocUnsafe(Math.min(chunkSize, piece.size)),
    onBytes,
  }: { buffer?: Buffer; onBytes?: ((bytes: number) => void) | undefined } = {},
): Promise<boolean> {
  const hash = createHash('sha256');
  for (let done = 0; done < piece.size; ) {
    const want = buffer.subarray(0, Math.min(buffer.length, piece.size - done));
    if ((await reader.readInto(piece, want, done)) < want.length) throw truncated(piece);
    hash.update(want);
    done += want.length;
    onBytes?.(want.length);
  }
  return encodeNix32(hash.digest()) === piece.digest;
}

/**
 * Reads all pieces once, so that nothing is imported from a bundle that is damaged anywhere.
 * @throws NixmakerError `bundle-altered`, `bundle-truncated`, `io-error`
 */
export async function checkAllPieces(bundle: OpenedBundle): Promise<void> {
  const buffer = Buffer.alloc(chunkSize);
  for (const piece of distinctPieces(bundle))
    if (!(await isIntact(bundle.reader, piece, { buffer }))) throw damaged(piece);
}

export const damaged = (piece: Piece): NixmakerError =>
  new NixmakerError('bundle-altered', `${pieceName(piece)} is damaged`);

function truncated(piece: Piece): NixmakerError {
  return new NixmakerError('bundle-truncated', `the bundle ends inside ${pieceName(piece)}`);
}
