/** Decompresses what was signed, in one go or as a stream. zstd frames: RFC 8878. */
import { Readable } from 'node:stream';
import { constants, createZstdDecompress, zstdDecompressSync } from 'node:zlib';
import { given } from '../core/given.ts';

const chunkBytes = 1024 * 1024;

/**
 * Up to this many bytes are decompressed in one go: most paths are small, and a stream for each would cost more than the work
 * itself. It blocks everything else for a few hundredths of a second at most.
 */
export const atOnceBytes = 16 * 1024 * 1024;

export interface Frame {
  /** Bytes when decompressed, as signed. */
  readonly size: number;
  /** A frame that needs a larger window is refused, to save memory. Binary logarithm of bytes. */
  readonly windowLogMax: number;
  /** Raw bytes that the frame refers to. */
  readonly dictionary?: Buffer;
}

const paramsOf = ({ windowLogMax, dictionary }: Frame) => ({
  params: { [constants.ZSTD_d_windowLogMax]: windowLogMax },
  ...given({ dictionary }),
});

/** At most one byte more than the size, which is enough to see that there are too many. @throws zlib’s errors */
export function decompressAtOnce(compressed: Buffer, frame: Frame): Buffer {
  const most = frame.size + 1;
  return zstdDecompressSync(compressed, {
    ...paramsOf(frame),
    chunkSize: Math.max(64, most),
    maxOutputLength: most,
  });
}

/** Ends with the first chunk that exceeds the size. @throws zlib’s errors, and the source’s */
export async function* decompress(
  compressed: AsyncIterable<Buffer>,
  frame: Frame,
): AsyncGenerator<Buffer, void, void> {
  const source = Readable.from(compressed, { objectMode: false });
  const decoder = createZstdDecompress({ ...paramsOf(frame), chunkSize: chunkBytes });
  source.on('error', (error) => decoder.destroy(error));
  let size = 0;
  try {
    for await (const chunk of source.pipe(decoder) as AsyncIterable<Buffer>) {
      size += chunk.length;
      yield chunk;
      if (size > frame.size) return;
    }
  } finally {
    source.destroy();
    decoder.destroy();
  }
}
