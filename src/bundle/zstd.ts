/** Decompresses what was signed, in one go or as a stream. zstd frames: RFC 8878. */
import type { Duplex } from 'node:stream';
import { setImmediate as othersFirst } from 'node:timers/promises';
import { promisify } from 'node:util';
import { constants, createZstdDecompress, zstdDecompress, zstdDecompressSync } from 'node:zlib';
import { given } from '../core/given.ts';
import { giveBack } from '../core/memory.ts';

/** Up to this many bytes are decompressed in one go: most paths are small, and a stream for each would cost more than the work itself. */
export const atOnceBytes = 8 * 1024 * 1024;

/**
 * Up to this many, handing them to another thread takes longer than the work itself: a quarter of a millisecond of processor time, half of
 * it on this thread.
 */
const inlineBytes = 384 * 1024;

/** Of a stream, what comes out of it at a time. */
const chunkBytes = 1024 * 1024;

export interface Frame {
  /** Bytes when decompressed, as signed. */
  readonly size: number;
  /** A frame that needs a larger window is refused, to save memory. Binary logarithm of bytes. */
  readonly windowLogMax: number;
  /** Raw bytes that the frame refers to. A decoder makes its own copy when it begins. */
  readonly dictionary?: Buffer;
}

const paramsOf = ({ windowLogMax, dictionary }: Frame) => ({
  params: { [constants.ZSTD_d_windowLogMax]: windowLogMax },
  ...given({ dictionary }),
});

const unzstd = promisify(zstdDecompress);

/**
 * What is small is done at once, the rest on another thread: meanwhile, this one keeps whoever gets the last one’s bytes busy.
 * @returns at most one byte more than the size, which is enough to see that there are too many
 * @throws zlib’s errors
 */
export async function decompressAtOnce(compressed: Buffer, frame: Frame): Promise<Buffer> {
  const most = frame.size + 1;
  const options = { ...paramsOf(frame), chunkSize: Math.max(64, most), maxOutputLength: most };
  if (Math.max(compressed.length, frame.size) > inlineBytes) return unzstd(compressed, options);
  // Threat: time. Hundreds of small ones in a row would leave no moment to send what is ready, for which somebody waits.
  await othersFirst();
  return zstdDecompressSync(compressed, options);
}

/**
 * Ends with the first chunk that exceeds the size. What comes out is nobody else’s, nor is what goes in: its memory is given back.
 * @throws zlib’s errors, and the source’s
 */
export const decompress = (compressed: AsyncIterable<Buffer>, frame: Frame): AsyncGenerator<Buffer> =>
  new StreamDecoder(frame).decode(compressed);

export class StreamDecoder {
  readonly #size: number;
  readonly #decoder: ReturnType<typeof createZstdDecompress>;

  constructor(frame: Frame) {
    this.#size = frame.size;
    this.#decoder = createZstdDecompress({ ...paramsOf(frame), chunkSize: chunkBytes });
  }

  async *decode(compressed: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
    let size = 0;
    let kept: Buffer | undefined;
    for await (const part of through(this.#decoder, compressed)) {
      size += part.length;
      // Some that waited while nobody read are put together by the stream, elsewhere in memory.
      if (part.buffer.byteLength !== chunkBytes) {
        if (kept !== undefined) yield Buffer.from(kept);
        kept = undefined;
        yield part;
        if (size > this.#size) return;
        continue;
      }
      // Parts share memory, and the decoder may still write to the rest of it: it is handed on when full.
      const start = kept === undefined ? part.byteOffset : kept.byteOffset;
      const end = part.byteOffset + part.length;
      kept = Buffer.from(part.buffer, start, end - start);
      if (end < part.buffer.byteLength && size <= this.#size) continue;
      yield kept;
      kept = undefined;
      if (size > this.#size) return;
    }
    if (kept !== undefined) yield kept;
  }
}

/**
 * What a stream makes of the chunks. The memory of each of them is given back as soon as the stream is done with it; at the end, also an early
 * one, the stream is destroyed.
 * @throws what the chunks’ source or the stream throws
 */
export async function* through(
  stream: Duplex,
  chunks: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer, void, void> {
  const feeding = feedInto(stream, chunks).catch((error: unknown) => stream.destroy(error as Error));
  try {
    yield* stream as AsyncIterable<Buffer>;
  } finally {
    stream.destroy();
    await feeding;
  }
}

/** Ends the stream with them; returns early if it is destroyed. */
async function feedInto(stream: Duplex, chunks: AsyncIterable<Buffer>): Promise<void> {
  for await (const chunk of chunks) {
    await new Promise<void>((resolve, reject) => {
      // Not called if the stream is destroyed meanwhile.
      stream.once('close', resolve);
      stream.write(chunk, (error) => {
        stream.off('close', resolve);
        if (error) reject(error);
        else resolve();
      });
    });
    if (stream.destroyed) return;
    giveBack(chunk);
  }
  stream.end();
}
