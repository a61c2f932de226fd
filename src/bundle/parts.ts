/**
 * A file that may be in parts, because FAT32 can’t hold one of 4 GiB or more: `<name>.000`, `<name>.001`, … instead of
 * `<name>`, named as split(1) does, so that `cat <name>.*` gives the whole.
 */
import { statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { hasErrno, insteadOf } from '../core/errno.ts';
import { type BundleFile, openIfThere } from './file.ts';

/** Bytes of a part: a mebibyte below what FAT32 can hold (fatgen103, "File size": 2^32 − 1). */
export const partBytes = 4 * 1024 ** 3 - 1024 ** 2;

/** With the largest parts, some 4 TB. */
const mostParts = 1000;

export const partName = (path: string, index: number) => `${path}.${String(index).padStart(3, '0')}`;

export type Parts = Pick<BundleFile, 'readInto' | 'close'>;

/** Bytes of the file or of all its parts; undefined if there is neither. */
export async function sizeOfParts(path: string): Promise<number | undefined> {
  const whole = await sizeOf(path);
  if (whole !== undefined) return whole;
  let sum: number | undefined;
  for (let i = 0; i < mostParts; i++) {
    const size = await sizeOf(partName(path, i));
    if (size === undefined) break;
    sum = (sum ?? 0) + size;
  }
  return sum;
}

/**
 * The file itself, or its parts, with their sizes; none if there is neither. Asked on this thread: `put` asks for each of thousands of
 * pieces several times, and each trip to another thread takes longer than the answer.
 */
export function partsNow(path: string): { readonly path: string; readonly size: number }[] {
  const size = sizeNow(path);
  if (size !== undefined) return [{ path, size }];
  const parts: { readonly path: string; readonly size: number }[] = [];
  while (parts.length < mostParts) {
    const part = partName(path, parts.length);
    const bytes = sizeNow(part);
    if (bytes === undefined) break;
    parts.push({ path: part, size: bytes });
  }
  return parts;
}

function sizeNow(path: string): number | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })?.size;
  } catch (error) {
    if (hasErrno(error, 'ENOTDIR')) return undefined;
    throw error;
  }
}

const sizeOf = async (path: string): Promise<number | undefined> =>
  (await stat(path).catch(insteadOf(['ENOENT', 'ENOTDIR'], undefined)))?.size;

/** Opened whole or in parts; undefined if there is neither. @throws NixmakerError as `openBundleFile` */
export async function openParts(path: string): Promise<Parts | undefined> {
  const whole = await openIfThere(path, 'ENOTDIR');
  if (whole !== undefined) return whole;
  const files: { readonly file: BundleFile; readonly start: number; readonly end: number }[] = [];
  let end = 0;
  try {
    for (let i = 0; i < mostParts; i++) {
      const file = await openIfThere(partName(path, i), 'ENOTDIR');
      if (file === undefined) break;
      const start = end;
      end += await file.size();
      files.push({ file, start, end });
    }
  } catch (error) {
    for (const { file } of files) await file.close();
    throw error;
  }
  if (files.length === 0) return undefined;
  return {
    readInto: async (buffer, position) => {
      let done = 0;
      for (const { file, start, end: stop } of files) {
        const at = position + done;
        if (done === buffer.length || at >= stop || at < start) continue;
        const want = buffer.subarray(done, done + Math.min(buffer.length - done, stop - at));
        const got = await file.readInto(want, at - start);
        done += got;
        if (got < want.length) break;
      }
      return done;
    },
    close: async () => {
      for (const { file } of files) await file.close();
    },
  };
}
