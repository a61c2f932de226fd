/** Writing a bundle: members in order, to a temporary name beside the target, flushed, then renamed into place. */
import { createHash } from 'node:crypto';
import { createReadStream, readSync, writeSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { NixmakerError } from '../core/errors.ts';
import { encodeNix32 } from '../core/nix32.ts';
import type { Piece } from '../core/release/contents-file.ts';
import type { SignedFile } from '../core/release/manifest.ts';
import { writeAtomically } from '../files/write.ts';
import { membersOf } from './members.ts';
import { PieceSum } from './piece-sum.ts';
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

/** Small enough to stay in the processor’s own cache between being read, looked through and written. */
const chunkBytes = 256 * 1024;
const flushEvery = 64 * 1024 * 1024;
/** After this much, whatever else is to be done gets its turn. */
const turnEvery = 8 * 1024 * 1024;

/**
 * Thousands of small members in few writes; and the disk starts writing early, so that the end need not wait for it. Written
 * synchronously: the kernel only takes a copy, and another thread would fetch the bytes from this one’s cache for that.
 */
class GatheringWriter {
  readonly #file: FileHandle;
  readonly #buffer = Buffer.allocUnsafeSlow(chunkBytes);
  #gathered = 0;
  #unflushed = 0;
  #sinceTurn = 0;
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

  /** @throws what an earlier flush threw and nobody would report otherwise */
  async end(): Promise<void> {
    await this.#writeGathered();
    await this.#flushing;
  }

  async #writeGathered(): Promise<void> {
    const length = this.#gathered;
    // A write may be partial (write(2)).
    for (let done = 0; done < length; ) done += writeSync(this.#file.fd, this.#buffer, done, length - done);
    this.#gathered = 0;
    this.#unflushed += length;
    this.#sinceTurn += length;
    if (this.#sinceTurn >= turnEvery) {
      this.#sinceTurn = 0;
      await setImmediate();
    }
    if (this.#unflushed < flushEvery) return;
    await this.#flushing;
    this.#unflushed = 0;
    this.#flushing = this.#file.datasync();
    // Whoever waits for it gets the error.
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
  { path, position = 0, file, sum }: OpenSource,
): Promise<void> {
  const check = sum === undefined ? checkDigest(piece) : checkSum(sum);
  for (let done = 0; done < piece.size; ) {
    const space = await out.space();
    const bytesRead = readSync(file, space, 0, Math.min(space.length, piece.size - done), position + done);
    if (bytesRead === 0) break;
    check.add(space.subarray(0, bytesRead));
    out.advance(bytesRead);
    done += bytesRead;
  }
  if (!check.isGood()) {
    throw new NixmakerError('io-error', `${path} changed while the bundle was being written`);
  }
}

interface Check {
  readonly add: (bytes: Buffer) => unknown;
  readonly isGood: () => boolean;
}

function checkDigest({ digest }: Piece): Check {
  const hash = createHash('sha256');
  return { add: (bytes) => hash.update(bytes), isGood: () => encodeNix32(hash.digest()) === digest };
}

function checkSum(sum: string): Check {
  const summing = new PieceSum();
  return { add: (bytes) => summing.add(bytes), isGood: () => summing.end() === sum };
}
