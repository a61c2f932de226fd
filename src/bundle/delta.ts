/**
 * Restoring a NAR from a NAR that the target has, and a delta: a zstd frame (RFC 8878) for which the base is the dictionary,
 * as `zstd --patch-from` writes it. Both are held in memory, at most `limits.deltaNarBytes` each.
 *
 * Nothing here is believed: the delta’s digest is signed, the base’s hash is pinned by the manifest, the result must have
 * the NAR hash that was signed, and Nix checks that once more.
 */
import { createHash } from 'node:crypto';
import type { Delta, PathInfo } from '../core/bundle/manifest.ts';
import { messageOf, NixmakerError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import { encodeNix32 } from '../core/nix32.ts';
import { atOnceBytes, decompress, decompressAtOnce, type Frame } from './zstd.ts';

const windowLogMax = 28;

export interface Patch {
  /** Bytes. */
  readonly size: number;
  readonly chunks: AsyncIterable<Buffer>;
}

/**
 * Yields the NAR, and its last chunk only once the hash of the whole is right.
 * @param base the NAR of `delta.base`, as this machine has it
 * @param patch the delta’s member
 * @throws NixmakerError `base-missing` where the base is another than the desk’s, `bundle-malformed`
 */
export async function* restoreNar(
  { delta, info }: { delta: Delta; info: PathInfo },
  { base, patch }: { base: AsyncIterable<Buffer>; patch: Patch },
): AsyncGenerator<Buffer, void, void> {
  const dictionary = await readBase(delta, base);
  const hash = createHash('sha256');
  let size = 0;
  let held: Buffer | undefined;
  try {
    for await (const chunk of restored(patch, { size: info.narSize, windowLogMax, dictionary })) {
      size += chunk.length;
      hash.update(chunk);
      if (held !== undefined) yield held;
      held = chunk;
    }
  } catch (error) {
    if (error instanceof NixmakerError) throw error;
    throw malformed(info, messageOf(error));
  }
  if (size !== info.narSize || `sha256:${encodeNix32(hash.digest())}` !== info.narHash)
    throw malformed(info, 'it gives other contents than were signed');
  if (held !== undefined) yield held;
}

async function* restored({ size, chunks }: Patch, frame: Frame): AsyncGenerator<Buffer, void, void> {
  if (size > atOnceBytes || frame.size > atOnceBytes) yield* decompress(chunks, frame);
  else yield decompressAtOnce(await gathered(chunks), frame);
}

async function gathered(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

async function readBase({ base: path, baseHash }: Delta, base: AsyncIterable<Buffer>): Promise<Buffer> {
  const hash = createHash('sha256');
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of base) {
    size += chunk.length;
    if (size > limits.deltaNarBytes) break;
    hash.update(chunk);
    chunks.push(chunk);
  }
  if (size > limits.deltaNarBytes || `sha256:${encodeNix32(hash.digest())}` !== baseHash)
    throw new NixmakerError('base-missing', `${path} is there, but does not hold what the bundle relies on`);
  return Buffer.concat(chunks);
}

const malformed = ({ path }: PathInfo, why: string) =>
  new NixmakerError('bundle-malformed', `the delta of ${path} can’t be used: ${why}`);
