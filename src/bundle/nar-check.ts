/** Whether a compressed NAR is what it claims to be, and what it is made of: for the desk, which signs that, or checks others’ work. */
import { createHash } from 'node:crypto';
import { messageOf, NixmakerError } from '../core/errors.ts';
import { encodeNix32 } from '../core/nix32.ts';
import { pieceName, type WholePiece } from '../core/release/contents-file.ts';
import { damaged, isIntact, type PieceReader, readPiece, streamPiece } from './contents.ts';
import { type NarCount, NarCounter } from './nar-count.ts';
import { windowLogMax } from './nar-reader.ts';
import { atOnceBytes, decompress, decompressAtOnce } from './zstd.ts';

/** What a NAR must be. */
export interface ExpectedNar {
  /** sha256 in Nix’s base 32, without prefix. */
  readonly narHash: string;
  /** Bytes. */
  readonly narSize: number;
}

/** Consumes a NAR as it arrives, and says whether it was the expected one. */
export class NarCheck {
  readonly #expected: ExpectedNar;
  readonly #hash = createHash('sha256');
  readonly #counter = new NarCounter();
  #size = 0;

  constructor(expected: ExpectedNar) {
    this.#expected = expected;
  }

  add(chunk: Buffer): void {
    this.#size += chunk.length;
    // The rest is useless: it is already too long.
    if (this.#size > this.#expected.narSize) return;
    this.#hash.update(chunk);
    this.#counter.feed(chunk);
  }

  /**
   * Called once, after the last chunk.
   * @returns undefined if it is a different NAR
   * @throws NixmakerError `bundle-malformed` if what was expected isn’t a NAR
   */
  end(): NarCount | undefined {
    const { narHash, narSize } = this.#expected;
    const isExpected = this.#size === narSize && encodeNix32(this.#hash.digest()) === narHash;
    return isExpected ? this.#counter.end() : undefined;
  }
}

interface Reading {
  readonly reader: PieceReader;
  readonly piece: WholePiece;
  readonly expected: ExpectedNar;
}

/** The result of reading. */
interface Read {
  readonly count: NarCount | undefined;
  /** For the bytes that were read, which may not be all. */
  readonly digest: string;
}

/**
 * Reads it once if all is well. Several small ones can be read at once: they are decompressed on other threads.
 * @throws NixmakerError `bundle-altered` if the bytes are not those announced, `bundle-malformed` if they do not give what is
 * expected or that isn’t a NAR, `bundle-truncated`, `io-error`
 */
export async function checkWholePiece(
  reader: PieceReader,
  piece: WholePiece,
  expected: ExpectedNar,
): Promise<NarCount> {
  const isSmall = piece.size <= atOnceBytes && expected.narSize <= atOnceBytes;
  let why = `it does not unpack to the NAR ${expected.narHash} of ${expected.narSize} bytes`;
  try {
    const { count, digest } = await (isSmall ? readAtOnce : readAsStream)({ reader, piece, expected });
    if (digest !== piece.digest && !(await isIntact(reader, piece))) throw damaged(piece);
    if (count !== undefined) return count;
  } catch (error) {
    const isOther = error instanceof NixmakerError && error.code !== 'bundle-malformed';
    if (isOther) throw error;
    if (!(await isIntact(reader, piece))) throw damaged(piece);
    why = error instanceof NixmakerError ? error.detail : messageOf(error);
  }
  throw new NixmakerError('bundle-malformed', `cannot use ${pieceName(piece)}: ${why}`);
}

async function readAtOnce({ reader, piece, expected }: Reading): Promise<Read> {
  const compressed = await readPiece(reader, piece, Buffer.allocUnsafe(piece.size));
  const check = new NarCheck(expected);
  check.add(await decompressAtOnce(compressed, { size: expected.narSize, windowLogMax }));
  return { count: check.end(), digest: encodeNix32(createHash('sha256').update(compressed).digest()) };
}

async function readAsStream({ reader, piece, expected }: Reading): Promise<Read> {
  const hash = createHash('sha256');
  const check = new NarCheck(expected);
  const frame = { size: expected.narSize, windowLogMax };
  for await (const chunk of decompress(through(streamPiece(reader, piece), hash), frame)) check.add(chunk);
  return { count: check.end(), digest: encodeNix32(hash.digest()) };
}

async function* through(
  chunks: AsyncIterable<Buffer>,
  hash: { update(chunk: Buffer): unknown },
): AsyncGenerator<Buffer, void, void> {
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
}
