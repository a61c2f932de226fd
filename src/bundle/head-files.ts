/** Manifest and signatures as files of their own: beside a classic tarball, and in a pool. */
import { join } from 'node:path';
import { limits } from '../core/limits.ts';
import { readSmall } from './file.ts';

export interface HeadFiles {
  readonly manifestBytes: Buffer;
  readonly signatureBytes: Buffer;
}

export const readSignatureFile = (folder: string): Promise<Buffer | undefined> =>
  readSmall(join(folder, 'manifest.sig'), limits.signatureFileBytes);

/** Undefined if either is missing (so far). */
export async function readHeadFiles(folder: string): Promise<HeadFiles | undefined> {
  const manifestBytes = await readSmall(join(folder, 'manifest.json'), limits.manifestBytes);
  const signatureBytes = await readSignatureFile(folder);
  if (manifestBytes === undefined || signatureBytes === undefined) return undefined;
  return { manifestBytes, signatureBytes };
}
