/** Whether a file’s contents are there, or only its size: copiers that allocate first leave zeros where they have not written yet. */
import { NixmakerError } from '../core/errors.ts';
import { type BundleFile, withBundleFile } from './file.ts';

/** Usually enough for manifest and signatures. Bytes. */
const headBytes = 64 * 1024;
/** A tar block. In a bundle’s head none is all zeros (docs/format.md), nor in an encrypted file. */
const blockBytes = 512;
/** Every tar ends with two blocks of zeros. */
const endBytes = 2 * blockBytes;
/** A page: compressed data has none that is all zeros. */
const pageBytes = 4096;
const chunkBytes = 1024 * 1024;

/**
 * @param part `whole` reads all of it, in pieces. False if it isn’t a plain file, or disappeared meanwhile
 * @param wrap wraps all reads @throws NixmakerError `medium-stalled`
 */
export async function hasHole(
  path: string,
  part: 'head' | 'whole' = 'head',
  wrap: (file: BundleFile) => BundleFile = (file) => file,
): Promise<boolean> {
  try {
    return await withBundleFile(path, async (opened) => {
      const file = wrap(opened);
      const size = await file.size();
      // For a small file, this covers the end too.
      const head = await file.read(0, size < headBytes ? Math.max(0, size - endBytes) : headBytes);
      if (hasZeros(head, blockBytes)) return true;
      if (part === 'head') return false;
      for (let at = headBytes; at < size; at += chunkBytes)
        if (hasZeros(await file.read(at, Math.min(chunkBytes, size - at)), pageBytes)) return true;
      return false;
    });
  } catch (error) {
    if (!(error instanceof NixmakerError) || error.code === 'medium-stalled') throw error;
    return false;
  }
}

function hasZeros(bytes: Buffer, length: number): boolean {
  const zeros = Buffer.alloc(length);
  for (let at = 0; at + length <= bytes.length; at += length)
    if (bytes.subarray(at, at + length).equals(zeros)) return true;
  return false;
}
