/**
 * Reads what a medium returns, not what the kernel remembers (open(2), O_DIRECT). Threat: a stick that is smaller than it
 * claims, or that silently stopped writing: everything just written can still be read, until it is pulled out.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { hasErrno } from '../core/errno.ts';
import { openPlainFile } from './foreign.ts';

const chunkBytes = 256 * 1024;
/** WebAssembly memory, because it begins on a page as O_DIRECT requires; there is no telling where a Buffer begins. */
const pageBytes = 64 * 1024;

interface Memory {
  readonly Memory: new (size: { readonly initial: number }) => { readonly buffer: ArrayBuffer };
}

/** Reused: each one made reserves gigabytes of addresses until the collector runs. */
const spareBuffers: Buffer[] = [];

function takeBuffer(): Buffer {
  const { WebAssembly: wasm } = globalThis as { readonly WebAssembly?: Memory };
  const spare = spareBuffers.pop();
  if (spare !== undefined) return spare;
  // Without a compiler Node.js has none: files are then read as usual.
  if (wasm === undefined) return Buffer.alloc(chunkBytes);
  return Buffer.from(new wasm.Memory({ initial: chunkBytes / pageBytes }).buffer);
}

/** Some file systems don’t support it (open(2), “O_DIRECT”): the errors they give. */
const hasNone = (error: unknown) => hasErrno(error, 'EINVAL', 'EOPNOTSUPP', 'ENOTSUP');

/** A plain file, opened once as usual and, if possible, once more bypassing the kernel’s cache. */
class PastCache {
  readonly #plain: FileHandle;
  #direct: FileHandle | undefined;

  private constructor(plain: FileHandle) {
    this.#plain = plain;
  }

  static async open(path: string): Promise<PastCache> {
    const file = new PastCache(await openPlainFile(path));
    try {
      // The same file, whatever happened to its name.
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

/** Whether the file can be read this way. */
export const canReadPastCache = (path: string): Promise<boolean> =>
  withFile(path, async (file, buffer) => {
    await file.read(buffer, 0);
    return file.isDirect;
  });

/**
 * All of a plain file; bypassing the kernel’s cache if its file system supports it, otherwise as usual.
 * @param onChunk the chunk’s bytes are overwritten once it returns
 * @throws Error from the system, as foreign.ts
 */
export const readPastCache = (path: string, onChunk: (chunk: Buffer) => void): Promise<void> =>
  withFile(path, async (file, buffer) => {
    for (let position = 0; ; ) {
      // A medium that returns nothing at all must not return the previous read.
      buffer.fill(0);
      const bytes = await file.read(buffer, position);
      if (bytes > 0) onChunk(buffer.subarray(0, bytes));
      position += bytes;
      // A short read is the end; reading can’t continue from within a block.
      if (bytes === 0 || (file.isDirect && bytes < buffer.length)) return;
    }
  });

/** Whether the file holds exactly these bytes. */
export async function holdsPastCache(path: string, bytes: Uint8Array): Promise<boolean> {
  let done = 0;
  let isSame = true;
  try {
    await readPastCache(path, (chunk) => {
      isSame &&= chunk.equals(bytes.subarray(done, done + chunk.length));
      done += chunk.length;
    });
  } catch (error) {
    // If a name leads nowhere, or to something else, the bytes are not there.
    if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'EFTYPE')) return false;
    throw error;
  }
  return isSame && done === bytes.length;
}
