/**
 * The NAR of a path that is in the store: Nix’s archive format (Nix doc/manual/source/protocols/nix-archive.md), written by
 * reading the file system. `nix-store --dump` gives the same bytes, by a process for each path.
 */
import { lstat, open, readdir, readlink } from 'node:fs/promises';

const chunkBytes = 1024 * 1024;

/** A string: its length in eight bytes, little endian, then its bytes, filled up with zeros to a multiple of eight. */
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

const paddingOf = (bytes: number) => Buffer.alloc((8 - (bytes % 8)) % 8);

/** @throws the file system’s own errors */
export async function* narOf(path: string): AsyncGenerator<Buffer, void, void> {
  yield text('nix-archive-1');
  yield* nodeOf(Buffer.from(path));
}

async function* nodeOf(path: Buffer): AsyncGenerator<Buffer, void, void> {
  const stat = await lstat(path);
  if (stat.isSymbolicLink()) {
    const target = await readlink(path, { encoding: 'buffer' });
    yield text('(', 'type', 'symlink', 'target', target, ')');
  } else if (stat.isDirectory()) {
    yield text('(', 'type', 'directory');
    const names = await readdir(path, { encoding: 'buffer' });
    for (const name of names.sort(Buffer.compare)) {
      yield text('entry', '(', 'name', name, 'node');
      yield* nodeOf(Buffer.concat([path, Buffer.from('/'), name]));
      yield text(')');
    }
    yield text(')');
  } else {
    // In the store a file is executable for all or for none.
    const kind = (stat.mode & 0o100) === 0 ? [] : ['executable', ''];
    yield text('(', 'type', 'regular', ...kind, 'contents');
    yield lengthOf(stat.size);
    yield* bytesOf(path, stat.size);
    yield Buffer.concat([paddingOf(stat.size), text(')')]);
  }
}

async function* bytesOf(path: Buffer, size: number): AsyncGenerator<Buffer, void, void> {
  const file = await open(path, 'r');
  try {
    for (let done = 0; done < size; ) {
      const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, size - done));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, done);
      if (bytesRead === 0) throw new Error(`${path.toString()} has become shorter`);
      done += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}
