/**
 * Reading what a medium gives back, and not what the kernel remembers of it (open(2), O_DIRECT). Threat: a stick that is smaller than it
 * says, or that has stopped writing without a word: all that was written just now can still be read, until it is pulled out.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { hasErrno } from '../core/errno.ts';
import { openPlainFile } from './foreign.ts';

const chunkBytes = 256 * 1024;
/** Of WebAssembly’s memory, which begins at a page as O_DIRECT wants it; of a Buffer nobody can tell where it begins. */
const pageBytes = 64 * 1024;

interface Memory {
  readonly Memory: new (size: { readonly initial: number }) => { readonly buffer: ArrayBuffer };
}

/** Used again: each that is made takes gigabytes of addresses until the collector comes round. */
const spareBuffers: Buffer[] = [];

function takeBuffer(): Buffer {
  const { WebAssembly: wasm } = globalThis as { readonly WebAssembly?: Memory };
  const spare = spareBuffers.pop();
  if (spare !== undefined) return spare;
  // Without a compiler Node.js has none: then it is read as ever.
  if (wasm === undefined) return Buffer.alloc(chunkBytes);
  return Buffer.from(new wasm.Memory({ initial: chunkBytes / pageBytes }).buffer);
}

/** Some file systems have no such way (open(2), “O_DIRECT”): what they say. */
const hasNone = (error: unknown) => hasErrno(error, 'EINVAL', 'EOPNOTSUPP', 'ENOTSUP');

/** A plain file, opened once as ever and once more past the kernel’s memory, where that can be had. */
class PastCache {
  readonly #plain: FileHandle;
  #direct: FileHandle | undefined;

  private constructor(plain: FileHandle) {
    this.#plain = plain;
  }

  static async open(path: string): Promise<PastCache> {
    const file = new PastCache(await openPlainFile(path));
    try {
      // The same file, whatever has become of its name.
      file.#direct = await open(`/proc/self/fd/${file.#plain.fd}`, constants.O_RDONLY | constants.O_DIRECT);
    } catch (error) {
      if (hasNone(error)) return file;
      await file.close();
      throw error;
    }
    return file;
  }

  get isDirect(): boolean {
    return this.#direct !== undefined;
  }

  async read(buffer: Buffer, position: number): Promise<number> {
    try {
      if (this.#direct !== undefined)
        return (await this.#direct.read(buffer, 0, buffer.length, position)).bytesRead;
    } catch (error) {
      if (!hasNone(error)) throw error;
      await this.#direct?.close();
      this.#direct = undefined;
    }
    return (await this.#plain.read(buffer, 0, buffer.length, position)).bytesRead;
  }

  async close(): Promise<void> {
    await this.#direct?.close();
    await this.#plain.close();
  }
}

async function withFile<T>(path: string, work: (file: PastCache, buffer: Buffer) => Promise<T>): Promise<T> {
  const file = await PastCache.open(path);
  const buffer = takeBuffer();
  try {
    return await work(file, buffer);
  } finally {
    spareBuffers.push(buffer);
    await file.close();
  }
}

/** Whether the file can be read so. */
export const canReadPastCache = (path: string): Promise<boolean> =>
  withFile(path, async (file, buffer) => {
    await file.read(buffer, 0);
    return file.isDirect;
  });

/**
 * All of a plain file; past the kernel’s memory where its file system can be read so, and otherwise as ever.
 * @param onChunk a chunk’s bytes are others once it has returned
 * @throws Error of the system, as foreign.ts
 */
export const readPastCache = (path: string, onChunk: (chunk: Buffer) => void): Promise<void> =>
  withFile(path, async (file, buffer) => {
    for (let position = 0; ; ) {
      // A medium that gives back nothing at all gives back nothing of the read before.
      buffer.fill(0);
      const bytes = await file.read(buffer, position);
      if (bytes > 0) onChunk(buffer.subarray(0, bytes));
      position += bytes;
      // Short is its end; from within a block there is no reading on.
      if (bytes === 0 || (file.isDirect && bytes < buffer.length)) return;
    }
  });

/** Whether the file holds these bytes, and no others. */
export async function holdsPastCache(path: string, bytes: Uint8Array): Promise<boolean> {
  let done = 0;
  let isSame = true;
  try {
    await readPastCache(path, (chunk) => {
      isSame &&= chunk.equals(bytes.subarray(done, done + chunk.length));
      done += chunk.length;
    });
  } catch (error) {
    // Of a name that leads nowhere, or to another thing, the bytes are not there.
    if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'EFTYPE')) return false;
    throw error;
  }
  return isSame && done === bytes.length;
}
