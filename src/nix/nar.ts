/**
 * The NAR of a path in the store: Nix’s archive format (Nix doc/manual/source/protocols/nix-archive.md), written by
 * reading the file system. `nix-store --dump` gives the same bytes, with a process per path.
 *
 * Files are read synchronously: a system has some hundred thousand, most of them small and in memory, and going through the
 * thread pool costs several times as much as reading them.
 */
import { closeSync, lstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';
import { setImmediate as othersFirst } from 'node:timers/promises';

const firstBytes = 64 * 1024;
const chunkBytes = 1024 * 1024;

/** What a NAR is made of: its own bytes, and file contents. */
type Part = Buffer | FilePart;
interface FilePart {
  readonly path: Buffer;
  readonly size: number;
}

/** A string: its length in eight bytes, little endian, then its bytes, zero-padded to a multiple of eight. */
function text(...strings: readonly (string | Buffer)[]): Buffer {
  return Buffer.concat(
    strings.flatMap((string) => {
      const bytes = Buffer.from(string as string);
      return [lengthOf(bytes.length), bytes, paddingOf(bytes.length)];
    }),
  );
}

function lengthOf(bytes: number): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bytes));
  return length;
}

const paddings = Array.from({ length: 8 }, (_, left) => Buffer.alloc((8 - left) % 8));
const paddingOf = (bytes: number) => paddings[bytes % 8] as Buffer;

const words = {
  magic: text('nix-archive-1'),
  symlink: text('(', 'type', 'symlink', 'target'),
  directory: text('(', 'type', 'directory'),
  entry: text('entry', '(', 'name'),
  node: text('node'),
  regular: text('(', 'type', 'regular', 'contents'),
  // In the store a file is executable for everyone or for no one.
  executable: text('(', 'type', 'regular', 'executable', '', 'contents'),
  end: text(')'),
};
const slash = Buffer.from('/');

function* partsOf(path: Buffer): Generator<Part, void, void> {
  const stat = lstatSync(path);
  if (stat.isSymbolicLink()) {
    yield Buffer.concat([words.symlink, text(readlinkSync(path, { encoding: 'buffer' })), words.end]);
  } else if (stat.isDirectory()) {
    yield words.directory;
    for (const name of readdirSync(path, { encoding: 'buffer' }).sort(Buffer.compare)) {
      yield Buffer.concat([words.entry, text(name), words.node]);
      yield* partsOf(Buffer.concat([path, slash, name]));
      yield words.end;
    }
    yield words.end;
  } else {
    // A damaged file system may show anything; opening a FIFO would wait for ever.
    if (!stat.isFile()) throw new Error(`${path.toString()} is neither a file, a folder nor a link`);
    const kind = (stat.mode & 0o100) === 0 ? words.regular : words.executable;
    yield Buffer.concat([kind, lengthOf(stat.size)]);
    yield { path, size: stat.size };
    yield Buffer.concat([paddingOf(stat.size), words.end]);
  }
}

function* allParts(path: string): Generator<Part, void, void> {
  yield words.magic;
  yield* partsOf(Buffer.from(path));
}

/**
 * The NAR in chunks of a mebibyte, with a smaller one at either end: most NARs are small.
 * @param expected its size in bytes, if known: smaller ones come in one go, using no more memory than needed
 * @throws the file system’s own errors
 */
export async function* narOf(path: string, expected = firstBytes): AsyncGenerator<Buffer, void, void> {
  let gathered = Buffer.allocUnsafe(Math.min(firstBytes, expected + 1));
  let length = 0;
  for (const part of allParts(path)) {
    const source = sourceOf(part);
    try {
      for (let done = 0; done < source.size; ) {
        const bytes = source.read(gathered.subarray(length), done);
        done += bytes;
        length += bytes;
        if (length < gathered.length) continue;
        yield gathered;
        await othersFirst();
        gathered = Buffer.allocUnsafe(chunkBytes);
        length = 0;
      }
    } finally {
      source.close();
    }
  }
  yield gathered.subarray(0, length);
}

/**
 * The NAR in one buffer, which can be used again for the next.
 * @returns its bytes; if they don’t fit, the buffer’s length and one
 * @throws the file system’s own errors
 */
export async function narInto(path: string, buffer: Buffer): Promise<number> {
  let [length, heldUp] = [0, 0];
  for (const part of allParts(path)) {
    const source = sourceOf(part);
    try {
      for (let done = 0; done < source.size; ) {
        if (length === buffer.length) return length + 1;
        const bytes = source.read(buffer.subarray(length, length + chunkBytes), done);
        [done, length, heldUp] = [done + bytes, length + bytes, heldUp + bytes];
        if (heldUp < chunkBytes) continue;
        await othersFirst();
        heldUp = 0;
      }
    } finally {
      source.close();
    }
  }
  return length;
}

interface PartSource {
  readonly size: number;
  /** @returns how many bytes it put into `into` */
  readonly read: (into: Buffer, position: number) => number;
  readonly close: () => void;
}

function sourceOf(part: Part): PartSource {
  if (!('path' in part))
    return {
      size: part.length,
      read: (into, position) => part.copy(into, 0, position),
      close: () => undefined,
    };
  const { path, size } = part;
  const file = openSync(path, 'r');
  return {
    size,
    read: (into, position) => {
      const bytes = readSync(file, into, 0, Math.min(into.length, size - position), position);
      if (bytes === 0) throw new Error(`${path.toString()} shrank while it was read`);
      return bytes;
    },
    close: () => closeSync(file),
  };
}
