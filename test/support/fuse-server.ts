/**
 * A FUSE file system that shows a folder, or one file, read-only: what a user without privileges mounts. Started with /dev/fuse as its
 * descriptor 9, mounted there: `fuse-server.ts SOURCE [OPERATION…]`, and of these operations it answers none.
 * The protocol is linux/fuse.h’s, version 7.31, of which only what reading needs is here.
 */
import {
  closeSync,
  lstatSync,
  openSync,
  readdirSync,
  readSync,
  type Stats,
  statfsSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

const device = 9;
const [, , source = '', ...silent] = process.argv;

const operations: Readonly<Record<number, string>> = {
  ...{ 1: 'lookup', 2: 'forget', 3: 'getattr', 14: 'open', 15: 'read', 17: 'statfs', 18: 'release' },
  ...{ 25: 'flush', 26: 'init', 27: 'opendir', 28: 'readdir', 29: 'releasedir', 36: 'interrupt' },
  ...{ 38: 'destroy', 42: 'batch_forget' },
};
const unanswered = new Set(['forget', 'batch_forget', 'interrupt']);
const errno = { ENOENT: 2, EIO: 5, ENOSYS: 38 };

/** By node: the root is 1. */
const paths = new Map([[1n, source]]);
const nodes = new Map([[source, 1n]]);

function nodeOf(path: string): bigint {
  const known = nodes.get(path) ?? BigInt(nodes.size + 1);
  nodes.set(path, known);
  paths.set(known, path);
  return known;
}

function attributes(stat: Stats, node: bigint): Buffer {
  const out = Buffer.alloc(88);
  const seconds = BigInt(Math.floor(stat.mtimeMs / 1000));
  for (const [i, value] of [
    node,
    BigInt(stat.size),
    BigInt(stat.blocks),
    seconds,
    seconds,
    seconds,
  ].entries())
    out.writeBigUInt64LE(value, 8 * i);
  const numbers = [0, 0, 0, stat.mode, stat.nlink, stat.uid, stat.gid, 0, 4096, 0];
  for (const [i, value] of numbers.entries()) out.writeUInt32LE(value, 48 + 4 * i);
  return out;
}

function entry(path: string): Buffer {
  const node = nodeOf(path);
  const out = Buffer.alloc(40);
  out.writeBigUInt64LE(node, 0);
  return Buffer.concat([out, attributes(lstatSync(path), node)]);
}

/** @param offset the number of the entry to begin with */
function folderEntries(path: string, offset: number, most: number): Buffer {
  const out: Buffer[] = [];
  let length = 0;
  for (const [i, name] of ['.', '..', ...readdirSync(path)].entries()) {
    const size = (24 + Buffer.byteLength(name) + 7) & ~7;
    if (i < offset) continue;
    if (length + size > most) break;
    const one = Buffer.alloc(size);
    one.writeBigUInt64LE(1n, 0);
    one.writeBigUInt64LE(BigInt(i + 1), 8);
    one.writeUInt32LE(Buffer.byteLength(name), 16);
    one.writeUInt32LE(lstatSync(join(path, name)).mode >> 12, 20);
    one.write(name, 24);
    out.push(one);
    length += size;
  }
  return Buffer.concat(out);
}

function contents(path: string, offset: number, most: number): Buffer {
  const file = openSync(path, 'r');
  const out = Buffer.alloc(most);
  const length = readSync(file, out, 0, most, offset);
  closeSync(file);
  return out.subarray(0, length);
}

function initialised(): Buffer {
  const out = Buffer.alloc(64);
  out.writeUInt32LE(7, 0);
  out.writeUInt32LE(31, 4);
  out.writeUInt32LE(131_072, 8);
  out.writeUInt32LE(131_072, 20);
  return out;
}

function statistics(): Buffer {
  const { blocks, bfree, bavail, bsize } = statfsSync(source);
  const out = Buffer.alloc(80);
  for (const [i, value] of [blocks, bfree, bavail, 1, 1].entries())
    out.writeBigUInt64LE(BigInt(value), 8 * i);
  for (const [i, value] of [bsize, 255, bsize].entries()) out.writeUInt32LE(value, 40 + 4 * i);
  return out;
}

function answer(operation: string | undefined, path: string, body: Buffer): Buffer | undefined {
  switch (operation) {
    case 'init':
      return initialised();
    case 'lookup':
      return entry(join(path, body.toString('utf8', 0, body.indexOf(0))));
    case 'getattr':
      return Buffer.concat([Buffer.alloc(16), attributes(lstatSync(path), nodeOf(path))]);
    case 'open':
    case 'opendir':
      return Buffer.alloc(16);
    case 'read':
      return contents(path, Number(body.readBigUInt64LE(8)), body.readUInt32LE(16));
    case 'readdir':
      return folderEntries(path, Number(body.readBigUInt64LE(8)), body.readUInt32LE(16));
    case 'statfs':
      return statistics();
    case 'release':
    case 'releasedir':
    case 'flush':
    case 'destroy':
      return Buffer.alloc(0);
    default:
      return undefined;
  }
}

function reply(unique: bigint, error: number, body: Buffer): void {
  const head = Buffer.alloc(16);
  head.writeUInt32LE(16 + body.length, 0);
  head.writeInt32LE(-error, 4);
  head.writeBigUInt64LE(unique, 8);
  writeSync(device, Buffer.concat([head, body]));
}

const request = Buffer.alloc(1024 * 1024);
for (;;) {
  const length = readSync(device, request, 0, request.length, null);
  const operation = operations[request.readUInt32LE(4)];
  const unique = request.readBigUInt64LE(8);
  if (unanswered.has(operation ?? '') || silent.includes(operation ?? '')) continue;
  const path = paths.get(request.readBigUInt64LE(16)) ?? source;
  try {
    const body = answer(operation, path, Buffer.from(request.subarray(40, length)));
    if (body === undefined) reply(unique, errno.ENOSYS, Buffer.alloc(0));
    else reply(unique, 0, body);
  } catch (error) {
    const isGone = (error as NodeJS.ErrnoException).code === 'ENOENT';
    reply(unique, isGone ? errno.ENOENT : errno.EIO, Buffer.alloc(0));
  }
}
