/**
 * Restores a NAR from a NAR that the target has and a delta: a zstd frame (RFC 8878) that uses the base as its dictionary,
 * as written by `zstd --patch-from`. Both are at most `limits.deltaNarBytes`, and twice that is in memory: first the base and the decoder’s
 * copy of it, then that copy and the decoder’s window.
 *
 * Nothing here is trusted: neither the delta nor what `contents` says about its base is signed. The result must have the signed
 * NAR hash, and Nix checks that again.
 */
import { createHash } from 'node:crypto';
import { isMissing } from '../core/errno.ts';
import { messageOf, NixmakerError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import { giveBack } from '../core/memory.ts';
import { encodeNix32 } from '../core/nix32.ts';
import type { DeltaPiece } from '../core/release/contents-file.ts';
import { atOnceBytes, decompressAtOnce, type Frame, StreamDecoder } from './zstd.ts';

const windowLogMax = 28;

/** Chunks that nobody else uses: their memory is given back once they have been read. */
export interface Bytes {
  /** How many there should be. */
  readonly size: number;
  readonly chunks: AsyncIterable<Buffer>;
}

/**
 * Yields whatever the delta gives; at most one chunk more than `narSize`.
 * @param base the NAR of the piece’s base, as this machine has it
 * @throws NixmakerError `base-missing` if the base differs from the desk’s; zlib’s errors, and the sources’
 */
export async function* restoreNar(
  { piece, narSize }: { readonly piece: DeltaPiece; readonly narSize: number },
  { base, patch }: { readonly base: Bytes; readonly patch: Bytes },
): AsyncGenerator<Buffer, void, void> {
  const dictionary = await readBase(piece, base);
  const frame: Frame = { size: narSize, windowLogMax, dictionary };
  if (patch.size > atOnceBytes || narSize > atOnceBytes) {
    const decoder = new StreamDecoder(frame);
    // It has its own copy.
    giveBack(dictionary);
    yield* decoder.decode(patch.chunks);
  } else {
    const compressed = await gathered(patch);
    yield await decompressAtOnce(compressed, frame).finally(() => {
      giveBack(dictionary);
      giveBack(compressed);
    });
  }
}

/** All of them, at most one chunk’s part more than their size. */
async function gathered({ size, chunks }: Bytes, each: (chunk: Buffer) => void = () => {}): Promise<Buffer> {
  const all = Buffer.allocUnsafeSlow(size);
  let length = 0;
  for await (const chunk of chunks) {
    each(chunk);
    chunk.copy(all, length);
    length += chunk.length;
    giveBack(chunk);
    if (length > size) break;
  }
  return all.subarray(0, length);
}

async function readBase({ base: path, baseNarHash }: DeltaPiece, base: Bytes): Promise<Buffer> {
  const other = 'but its contents are not what the bundle builds on';
  const differs = () => new NixmakerError('base-missing', `${path} exists, ${other}`);
  if (base.size > limits.deltaNarBytes) throw differs();
  const hash = createHash('sha256');
  // This machine’s own disk, not the bundle’s fault.
  const all = await gathered(base, (chunk) => hash.update(chunk)).catch((cause: unknown) => {
    const code = isMissing(cause) ? 'base-missing' : 'io-error';
    throw new NixmakerError(code, `cannot read ${path}: ${messageOf(cause)}`, { cause });
  });
  if (encodeNix32(hash.digest()) === baseNarHash) return all;
  throw differs();
}
