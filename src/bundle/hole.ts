/** Whether the beginning of a file is there, or only its size is: copiers that allocate first leave zeros where they have not been yet. */
import { NixmakerError } from '../core/errors.ts';
import { readBeginning } from './file.ts';

/** As much as manifest and signatures take, mostly. Bytes. */
const headBytes = 64 * 1024;
/** A tar’s. In a bundle’s head none is all zeros (docs/format.md), nor in an encrypted file. */
const blockBytes = 512;
/** With which every tar ends: two blocks of zeros. */
const endBytes = 2 * blockBytes;

export async function hasHole(path: string): Promise<boolean> {
  const head = await readBeginning(path, { bytes: headBytes, most: Number.POSITIVE_INFINITY }).catch(
    noBeginning,
  );
  if (head === undefined) return false;
  const zeros = Buffer.alloc(blockBytes);
  // Of a small one the end is seen as well.
  const end = head.length < headBytes ? head.length - endBytes : head.length;
  for (let at = 0; at + blockBytes <= end; at += blockBytes)
    if (head.subarray(at, at + blockBytes).equals(zeros)) return true;
  return false;
}

/** Of what is no plain file, or went meanwhile. */
function noBeginning(error: unknown): undefined {
  if (!(error instanceof NixmakerError)) throw error;
}
