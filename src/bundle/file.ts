/**
 * A bundle's file, opened once and read by position. All later reads use this same open file, so what was
 * verified and what is imported can't be two different files, swapped by name in between.
 */
import type { FileHandle } from 'node:fs/promises';
import { hasErrno } from '../core/errno.ts';
import { messageOf, NixmakerError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import { openPlainFile } from '../files/foreign.ts';

export interface BundleFile {
  readonly name: string;
  size(): Promise<number>;
  /** Exactly `length` bytes. @throws NixmakerError `bundle-truncated` if the file ends earlier. */
  read(position: number, length: number): Promise<Buffer>;
  /** Fills `buffer` from `position`; returns how many bytes there were. */
  readInto(buffer: Buffer, position: number): Promise<number>;
  close(): Promise<void>;
}

/**
 * A symbolic link in an inbox others write to could name any file, and opening a FIFO named like a bundle must not hang.
 * @throws NixmakerError `not-a-bundle` for anything but a regular file, `io-error`
 */
export async function openBundleFile(path: string): Promise<BundleFile> {
  try {
    return bundleFileOf(await openPlainFile(path), path);
  } catch (cause) {
    if (hasErrno(cause, 'ELOOP', 'EFTYPE'))
      throw new NixmakerError('not-a-bundle', messageOf(cause), { cause });
    throw new NixmakerError('io-error', `cannot open the file: ${messageOf(cause)}`, { cause });
  }
}

/** Open for as long as the work takes. @throws NixmakerError as `openBundleFile` */
export async function withBundleFile<T>(path: string, work: (file: BundleFile) => Promise<T>): Promise<T> {
  const file = await openBundleFile(path);
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

/** As `openBundleFile`, but undefined if there is none. @param also further codes that mean this */
export async function openIfThere(path: string, ...also: readonly string[]): Promise<BundleFile | undefined> {
  return openBundleFile(path).catch((error: NixmakerError) => {
    if (hasErrno(error.cause, 'ENOENT', ...also)) return undefined;
    throw error;
  });
}

/** Bytes of a regular file; 0 if there is none (so far). @throws NixmakerError as `openBundleFile` */
export async function sizeOfFile(path: string): Promise<number> {
  const file = await openIfThere(path);
  return file === undefined ? 0 : file.size().finally(() => file.close());
}

/** A small file in full; undefined if there is none. @throws NixmakerError `bundle-malformed` if it is larger */
export const readSmall = (path: string, most: number): Promise<Buffer | undefined> =>
  readBeginning(path, { bytes: most, most });

/** As `readSmall`, but only its first bytes. */
export async function readBeginning(
  path: string,
  { bytes, most }: { readonly bytes: number; readonly most: number },
): Promise<Buffer | undefined> {
  const file = await openIfThere(path);
  if (file === undefined) return undefined;
  try {
    const size = await file.size();
    if (size > most)
      throw new NixmakerError('bundle-malformed', `${path} has ${size} bytes; the limit is ${most}`);
    // The size is known: `read` would ask for it again.
    const buffer = Buffer.alloc(Math.min(size, bytes));
    const got = await file.readInto(buffer, 0);
    if (got < buffer.length) throw new NixmakerError('bundle-truncated', `it ends at byte ${got}`);
    return buffer;
  } finally {
    await file.close();
  }
}

/** Wraps a handle that is already open: standard input's spool. */
export function bundleFileOf(handle: FileHandle, name: string): BundleFile {
  const readInto = async (buffer: Buffer, position: number): Promise<number> => {
    let done = 0;
    while (done < buffer.length) {
      const { bytesRead } = await handle
        .read(buffer, done, buffer.length - done, position + done)
        .catch(ioError);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  };
  const size = async (): Promise<number> => (await handle.stat()).size;
  return {
    name,
    size,
    read: exactly({ size, readInto }),
    readInto,
    close: () => handle.close(),
  };
}

/**
 * Threat: sizes come from somebody else. Nothing is allocated for what isn’t there, nor for more than any part of a bundle can have,
 * even if a file has that as a hole: beyond 2 GiB Node.js does not fail but aborts.
 * @throws NixmakerError `bundle-truncated`, `bundle-malformed`
 */
export function exactly({ size, readInto }: Pick<BundleFile, 'size' | 'readInto'>): BundleFile['read'] {
  return async (position, length) => {
    const there = await size();
    if (position + length > there)
      throw new NixmakerError('bundle-truncated', `the file ends at byte ${there}`);
    if (length > limits.readAtOnce)
      throw new NixmakerError('bundle-malformed', `one part claims to have ${length} bytes`);
    const buffer = Buffer.alloc(length);
    const got = await readInto(buffer, position);
    if (got < length) throw new NixmakerError('bundle-truncated', `the file ends at byte ${position + got}`);
    return buffer;
  };
}

function ioError(cause: unknown): never {
  throw new NixmakerError('io-error', `cannot read the bundle: ${messageOf(cause)}`, { cause });
}
