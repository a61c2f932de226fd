/** Writing a bundle: members in order, to a temporary name beside the target, flushed, then renamed into place. */
import { createHash } from 'node:crypto';
import { createReadStream, readSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { NixmakerError } from '../core/errors.ts';
import { encodeNix32 } from '../core/nix32.ts';
import type { Piece } from '../core/release/contents-file.ts';
import type { SignedFile } from '../core/release/manifest.ts';
import { writeAtomically } from '../files/write.ts';
import { membersOf } from './members.ts';
import type { Release } from './release.ts';
import { type OpenSource, type Source, Sources } from './sources.ts';
import { encodeHeader, paddingOf, trailerSize } from './ustar.ts';

/** Size and digest of a whole file, read once. */
export async function signedFileOf(path: string): Promise<SignedFile> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
    hash.update(chunk as Buffer);
    size += (chunk as Buffer).length;
  }
  return { size, sha256: hash.digest('hex') };
}

export interface BundleParts {
  readonly manifestBytes: Uint8Array;
  readonly signatureBytes: Uint8Array;
  /** Read back from what is written, so that nothing is written that would be refused. */
  readonly release: Release;
  readonly sourceOf: (piece: Piece) => Source;
}

/**
 * @throws NixmakerError `io-error` if a source is no longer as announced; the target is then untouched
 */
export async function writeBundle(target: string, parts: BundleParts): Promise<void> {
  const { release, sourceOf } = parts;
  const sources = new Sources();
  await writeAtomically(target, async (file) => {
    const out = new GatheringWriter(file);
    await writeSmall(out, 'manifest.json', parts.manifestBytes);
    await writeSmall(out, 'manifest.sig', parts.signatureBytes);
    await writeSmall(out, 'index', release.index.bytes);
    await writeSmall(out, 'nix.sig', release.nixSignatures.bytes);
    await writeSmall(out, 'contents', release.contentsBytes);
    for (const member of membersOf(release)) {
      if (!('piece' in member)) {
        await writeSmall(out, member.name, member.bytes);
        continue;
      }
      await out.write(encodeHeader(member.name, member.size));
      await copyChecked(out, member.piece, sources.open(sourceOf(member.piece)));
      await out.write(Buffer.alloc(paddingOf(member.size)));
    }
    await out.write(Buffer.alloc(trailerSize));
    await out.end();
  }).finally(() => sources.close());
}

async function writeSmall(out: GatheringWriter, name: string, bytes: Uint8Array): Promise<void> {
  await out.write(encodeHeader(name, bytes.length));
  await out.write(bytes);
  await out.write(Buffer.alloc(paddingOf(bytes.length)));
}

const chunkBytes = 1024 * 1024;
const flushEvery = 64 * chunkBytes;

/**
 * Thousands of small members in few writes, each under way while the next is gathered; and the disk starts writing
 * early, so that the end need not wait for it. Two alternating buffers, however large the bundle.
 */
class GatheringWriter {
  readonly #file: FileHandle;
  #buffer = Buffer.allocUnsafe(chunkBytes);
  #other = Buffer.allocUnsafe(chunkBytes);
  #gathered = 0;
  #unflushed = 0;
  #writing: Promise<void> | undefined;
  #flushing: Promise<void> | undefined;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0; ) {
      const space = await this.space();
      const part = rest.subarray(0, space.length);
      space.set(part);
      this.advance(part.length);
      rest = rest.subarray(part.length);
    }
  }

  /** Where the next bytes go, at least one: fill it at once, then call `advance`. */
  async space(): Promise<Buffer> {
    if (this.#gathered === this.#buffer.length) await this.#writeGathered();
    return this.#buffer.subarray(this.#gathered);
  }

  advance(bytes: number): void {
    this.#gathered += bytes;
  }

  /** @throws what an earlier write or flush threw and nobody would report otherwise */
  async end(): Promise<void> {
    await this.#writeGathered();
    await this.#writing;
    await this.#flushing;
  }

  async #writeGathered(): Promise<void> {
    await this.#writing;
    const full = this.#buffer.subarray(0, this.#gathered);
    [this.#buffer, this.#other] = [this.#other, this.#buffer];
    this.#gathered = 0;
    this.#writing = this.#writeAll(full);
    // Whoever waits for it gets the error.
    this.#writing.catch(() => undefined);
  }

  async #writeAll(bytes: Buffer): Promise<void> {
    // A write may be partial (write(2)).
    for (let rest = bytes; rest.length > 0; )
      rest = rest.subarray((await this.#file.write(rest, 0, rest.length)).bytesWritten);
    this.#unflushed += bytes.length;
    if (this.#unflushed < flushEvery) return;
    await this.#flushing;
    this.#unflushed = 0;
    this.#flushing = this.#file.datasync();
    this.#flushing.catch(() => undefined);
  }
}

/**
 * Read synchronously: most of what is copied was just written and is in memory; going through the thread pool for each of
 * thousands of members would take longer than everything else.
 */
async function copyChecked(
  out: GatheringWriter,
  piece: Piece,
  { path, position = 0, file }: OpenSource,
): Promise<void> {
  const hash = createHash('sha256');
  for (let done = 0; done < piece.size; ) {
    const space = await out.space();
    const bytesRead = readSync(file, space, 0, Math.min(space.length, piece.size - done), position + done);
    if (bytesRead === 0) break;
    hash.update(space.subarray(0, bytesRead));
    out.advance(bytesRead);
    done += bytesRead;
  }
  if (encodeNix32(hash.digest()) !== piece.digest) {
    throw new NixmakerError('io-error', `${path} changed while the bundle was being written`);
  }
}
