/** Whether a file’s first bytes are a bundle’s, whatever its name and however it was repacked. */
import { promisify } from 'node:util';
import { constants, gunzip } from 'node:zlib';
import { isEncrypted } from '../core/bundle/encrypted.ts';
import { NixmakerError } from '../core/errors.ts';
import { withBundleFile } from './file.ts';
import { blockSize, sizeFromHeader } from './ustar.ts';

export type Lookalike =
  /** A proper bundle, except for its name. */
  | 'bundle'
  /** It begins like an encrypted bundle, or any other age file. */
  | 'encrypted'
  /** A repacked bundle. */
  | 'gzip'
  | 'zip';

/** Enough for a bundle’s first header, even compressed: a manifest compresses well. Bytes. */
const beginning = 16 * 1024;

/** Undefined if it is nothing of the kind, or not a plain file. @throws NixmakerError `io-error` */
export async function lookalikeOf(path: string): Promise<Lookalike | undefined> {
  try {
    return await withBundleFile(path, async (file) => {
      const buffer = Buffer.alloc(beginning);
      return kindOf(buffer.subarray(0, await file.readInto(buffer, 0)));
    });
  } catch (error) {
    if (error instanceof NixmakerError && error.code === 'not-a-bundle') return undefined;
    throw error;
  }
}

/** @param bytes the first of a file */
export async function kindOf(bytes: Buffer): Promise<Lookalike | undefined> {
  if (beginsAsBundle(bytes)) return 'bundle';
  if (isEncrypted(bytes)) return 'encrypted';
  if (bytes.length > 2 && bytes[0] === 0x1f && bytes[1] === 0x8b)
    return beginsAsBundle(await unzipped(bytes)) ? 'gzip' : undefined;
  return holdsBundle(bytes) ? 'zip' : undefined;
}

const beginsAsBundle = (bytes: Buffer): boolean =>
  bytes.length >= blockSize && sizeFromHeader(bytes.subarray(0, blockSize), 'manifest.json') !== undefined;

const gunzipped = promisify(gunzip);

/** As much as these bytes yield. Threat: a megabyte of zeros in a kilobyte, so no more than is examined. */
const unzipped = (bytes: Buffer): Promise<Buffer> =>
  gunzipped(bytes, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: 1024 * beginning }).catch(() =>
    Buffer.alloc(0),
  );

/** By the name in the first entry’s header (APPNOTE.TXT, 4.3.7). */
function holdsBundle(bytes: Buffer): boolean {
  if (bytes.length < 30 || bytes.readUInt32LE(0) !== 0x04034b50) return false;
  const name = bytes.toString('latin1', 30, 30 + bytes.readUInt16LE(26));
  return /(?:\.tar(?:\.age|\.gz)?|\.keyring|(?:^|\/)manifest\.json|(?:^|\/)nixmaker\/)$/i.test(name);
}
