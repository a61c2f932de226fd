/**
 * Restores a NAR from a NAR that the target has and a delta: a zstd frame (RFC 8878) that uses the base as its dictionary,
 * as written by `zstd --patch-from`. Both are held in memory, at most `limits.deltaNarBytes` each.
 *
 * Nothing here is trusted: neither the delta nor what `contents` says about its base is signed. The result must have the signed
 * NAR hash, and Nix checks that again.
 */
import { createHash } from 'node:crypto';
import { isMissing } from '../core/errno.ts';
import { messageOf, NixmakerError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import { encodeNix32 } from '../core/nix32.ts';
import type { DeltaPiece } from '../core/release/contents-file.ts';
import { atOnceBytes, decompress, decompressAtOnce, type Frame } from './zstd.ts';

const windowLogMax = 28;

export interface Patch {
  /** Bytes. */
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
  { base, patch }: { readonly base: AsyncIterable<Buffer>; readonly patch: Patch },
): AsyncGenerator<Buffer, void, void> {
  const dictionary = await readBase(piece, base);
  const frame: Frame = { size: narSize, windowLogMax, dictionary };
  if (patch.size > atOnceBytes || narSize > atOnceBytes) yield* decompress(patch.chunks, frame);
  else yield decompressAtOnce(await gathered(patch.chunks), frame);
}

async function gathered(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

async function readBase(
  { base: path, baseNarHash }: DeltaPiece,
  base: AsyncIterable<Buffer>,
): Promise<Buffer> {
  const hash = createHash('sha256');
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of base) {
      size += chunk.length;
      if (size > limits.deltaNarBytes) break;
      hash.update(chunk);
      chunks.push(chunk);
    }
  } catch (cause) {
    // This machine’s own disk, not the bundle’s fault.
    const code = isMissing(cause) ? 'base-missing' : 'io-error';
    throw new NixmakerError(code, `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
  if (size > limits.deltaNarBytes || encodeNix32(hash.digest()) !== baseNarHash)
    throw new NixmakerError(
      'base-missing',
      `${path} exists, but its contents are not what the bundle builds on`,
    );
  return Buffer.concat(chunks);
}
