/** Whether a file is there, or only its size is: copiers that allocate first leave zeros where they have not been yet. */
import { NixmakerError } from '../core/errors.ts';
import { type BundleFile, withBundleFile } from './file.ts';

/** As much as manifest and signatures take, mostly. Bytes. */
const headBytes = 64 * 1024;
/** A tar’s. In a bundle’s head none is all zeros (docs/format.md), nor in an encrypted file. */
const blockBytes = 512;
/** With which every tar ends: two blocks of zeros. */
const endBytes = 2 * blockBytes;
/** A page: what compresses has none that is all zeros. */
const pageBytes = 4096;
const chunkBytes = 1024 * 1024;

/**
 * @param part `whole` reads all of it, in pieces. False of what is no plain file, or went meanwhile
 * @param wrap what reading goes through @throws NixmakerError `medium-stalled`
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
      // Of a small one the end is seen as well.
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
