/**
 * Files of blocks: the program’s stamp stands before, between and after them. A block is read when it is needed, and only between
 * two stamps of ours. Threat: another build is copied over the open file, front to back; its blocks lie elsewhere.
 */
import { readSync } from 'node:fs';

/** For one block at a time: memory that is touched for the first time costs a start more than reading does. */
let room = Buffer.alloc(0);

function read(file: number, at: number, size: number): boolean {
  if (room.length < size) room = Buffer.allocUnsafeSlow(Math.max(size, 2 * room.length));
  return readSync(file, room, 0, size, at) === size;
}

const isAt = (stamp: string, at: number): boolean => room.toString('latin1', at, at + stamp.length) === stamp;

/**
 * @param at where the block begins, in bytes
 * @returns the block, which the next call overwrites; undefined if it is not there, or another build’s
 * @throws Error of the operating system
 */
export function readBlock(file: number, stamp: string, at: number, size: number): Buffer | undefined {
  const [begin, end] = [stamp.length, stamp.length + size];
  const isOurs = read(file, at - stamp.length, end + stamp.length) && isAt(stamp, 0) && isAt(stamp, end);
  return isOurs ? room.subarray(begin, end) : undefined;
}

/** @throws Error of the operating system */
export const hasStamp = (file: number, stamp: string, at: number): boolean =>
  read(file, at, stamp.length) && isAt(stamp, 0);
