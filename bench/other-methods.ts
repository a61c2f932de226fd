/**
 * What other methods would carry from one tree to the next: new whole files, as a file-level method does, and new
 * chunks, cut by content at 64 KiB on average, as casync and desync do. Each compressed the way nixmaker compresses, and nothing else
 * counted: no index, no signature.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { constants, zstdCompressSync } from 'node:zlib';

const compressed = (bytes: Uint8Array): number =>
  zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 3 } }).length;

/** What a tree consists of: each file’s or chunk’s compressed size, by its digest. */
export interface Parts {
  readonly files: ReadonlyMap<string, number>;
  readonly chunks: ReadonlyMap<string, number>;
}

/** Compressed once, however many trees have it. */
const known = new Map<string, number>();

function noteIn(parts: Map<string, number>, bytes: Buffer): void {
  const digest = createHash('sha256').update(bytes).digest('base64');
  const size = known.get(digest) ?? compressed(bytes);
  known.set(digest, size);
  parts.set(digest, size);
}

/** @param folders of store paths */
export function partsOf(folders: readonly string[]): Parts {
  const [files, chunks] = [new Map<string, number>(), new Map<string, number>()];
  for (const folder of folders)
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const bytes = readFileSync(join(entry.parentPath, entry.name));
      noteIn(files, bytes);
      for (const chunk of cut(bytes)) noteIn(chunks, chunk);
    }
  return { files, chunks };
}

/** Bytes of what is new. */
export const newIn = (before: ReadonlyMap<string, number>, now: ReadonlyMap<string, number>): number =>
  [...now].reduce((sum, [digest, size]) => sum + (before.has(digest) ? 0 : size), 0);

export const allOf = (parts: ReadonlyMap<string, number>): number =>
  [...parts.values()].reduce((sum, size) => sum + size, 0);

const [least, most, mask] = [16 * 1024, 256 * 1024, 0xffff_0000];
const gear = Uint32Array.from({ length: 256 }, (_, i) =>
  createHash('sha256').update(`gear ${i}`).digest().readUInt32LE(0),
);

/** Where the high bits of a rolling sum are zero: for 64 KiB on average, as many bits as that number has. */
function* cut(bytes: Buffer): Generator<Buffer, void, void> {
  let start = 0;
  let rolling = 0;
  for (let i = 0; i < bytes.length; i++) {
    rolling = ((rolling << 1) + (gear[bytes[i] as number] as number)) | 0;
    const length = i + 1 - start;
    if (length < least || ((rolling & mask) !== 0 && length < most)) continue;
    yield bytes.subarray(start, i + 1);
    start = i + 1;
  }
  if (start < bytes.length) yield bytes.subarray(start);
}
