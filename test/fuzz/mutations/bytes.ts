/** Bytes changed with a dictionary: words of the formats, numbers at their ends in every width, two inputs crossed. */
import { mutate } from '../../support/mutate.ts';

export type Random = (below: number) => number;

/** @param others inputs of the same target, to cross with */
export type Mutation = (bytes: Buffer, random: Random, others: readonly Buffer[]) => Buffer;

export const pick = <T>(random: Random, from: readonly T[]): T => from[random(from.length)] as T;

/** Numbers at which something turns over. */
const extremes = [
  0n,
  1n,
  0x7fn,
  0x80n,
  0xffn,
  0x7fffn,
  0xffffn,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  0x1_0000_0000n,
  (1n << 53n) - 1n,
  1n << 53n,
  (1n << 63n) - 1n,
  1n << 63n,
  (1n << 64n) - 1n,
];

function numberBytes(random: Random): Buffer {
  const width = pick(random, [1, 2, 4, 8]);
  const big = BigInt.asUintN(width * 8, pick(random, extremes));
  const bytes = Buffer.alloc(8);
  if (random(2) === 0) bytes.writeBigUInt64LE(big);
  else bytes.writeBigUInt64BE(big << BigInt(64 - width * 8));
  return bytes.subarray(0, width);
}

const put = (bytes: Buffer, at: number, piece: Buffer, over: number): Buffer =>
  Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at + over)]);

/** A number at its extreme in the place of another. Aligned mostly, as numbers are. */
const setNumber: Mutation = (bytes, random) => {
  const number = numberBytes(random);
  const anywhere = random(bytes.length + 1);
  const at = random(3) === 0 ? anywhere : anywhere - (anywhere % number.length);
  return put(bytes, at, number, number.length);
};

/** A number in it, one more or one less. */
const addOne: Mutation = (bytes, random) => {
  const copy = Buffer.from(bytes);
  const at = random(copy.length);
  copy[at] = ((copy[at] ?? 0) + pick(random, [1, -1, 8, -8, 16, 255])) & 0xff;
  return copy;
};

const cross: Mutation = (bytes, random, others) => {
  const other = pick(random, others);
  const from = random(other.length + 1);
  const piece = other.subarray(from, from + 1 + random(Math.min(512, other.length + 1)));
  const at = random(bytes.length + 1);
  return put(bytes, at, piece, random(2) * piece.length);
};

const word =
  (words: readonly string[]): Mutation =>
  (bytes, random) => {
    const piece = Buffer.from(pick(random, words), 'latin1');
    return put(bytes, random(bytes.length + 1), piece, random(2) * piece.length);
  };

/** @param words of the format, one byte a character */
export const byteMutation = (words: readonly string[] = ['\0', '\n', '"', '/']): Mutation => {
  const ways: readonly Mutation[] = [mutate, mutate, setNumber, addOne, cross, word(words)];
  return (bytes, random, others) =>
    (bytes.length === 0 ? word(words) : pick(random, ways))(bytes, random, others);
};
