/** Archives: a header changed in one of its fields, with a checksum that is right again; a member left out, repeated, swapped. */
import { byteMutation, type Mutation, pick, type Random } from './bytes.ts';

const block = 512;

/** Of ustar and its kin: where a field is, and how long it is. */
const fields = [
  [0, 100],
  [100, 8],
  [108, 8],
  [116, 8],
  [124, 12],
  [136, 12],
  [156, 1],
  [157, 100],
  [257, 8],
  [345, 155],
] as const;
const texts = [
  '0',
  '00000000000\0',
  '77777777777\0',
  '-1',
  'L',
  'K',
  'x',
  'g',
  '1',
  '2',
  '3',
  '5',
  '6',
  'S',
  'V',
];
const names = [
  '../x',
  '/etc/passwd',
  'nix/store/../../x',
  './nix',
  'nix//store',
  'manifest.json',
  'a\nb',
  '',
];
/** Sizes in base 256 (GNU): 8 GiB, -1, beyond 2^53. */
const binary = ['800000000000000200000000', 'ffffffffffffffffffffffff', '80ffffffffffffffffffffff'];

function isHeader(bytes: Buffer, at: number): boolean {
  return bytes.toString('latin1', at + 257, at + 262) === 'ustar';
}

function headersOf(bytes: Buffer): number[] {
  const found: number[] = [];
  for (let at = 0; at + block <= bytes.length; at += block) if (isHeader(bytes, at)) found.push(at);
  return found;
}

/** The checksum as tar reckons it: its own field taken for blanks. */
function seal(bytes: Buffer, at: number): void {
  bytes.write('        ', at + 148, 'latin1');
  const sum = bytes.subarray(at, at + block).reduce((a, b) => a + b, 0);
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148, 'latin1');
}

function changedHeader(bytes: Buffer, at: number, random: Random): Buffer {
  const copy = Buffer.from(bytes);
  const [offset, length] = pick(random, fields);
  const value = pick(random, [texts, names, binary]);
  const text = pick(random, value);
  const field = value === binary ? Buffer.from(text, 'hex') : Buffer.from(text, 'latin1');
  copy.fill(0, at + offset, at + offset + length);
  field.copy(copy, at + offset, 0, Math.min(length, field.length));
  if (random(8) > 0) seal(copy, at);
  return copy;
}

const asBytes = byteMutation(['ustar\x0000', 'ustar  \0', '\0'.repeat(512), '\0'.repeat(1024)]);

export const tarMutation: Mutation = (bytes, random, others) => {
  const headers = headersOf(bytes);
  const way = random(5);
  if (headers.length === 0 || way === 0) return asBytes(bytes, random, others);
  if (way < 3) return changedHeader(bytes, pick(random, headers), random);
  const at = pick(random, headers);
  const end = headers.find((h) => h > at) ?? bytes.length;
  if (way === 3) return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
  const to = pick(random, headers);
  return Buffer.concat([bytes.subarray(0, to), bytes.subarray(at, end), bytes.subarray(to)]);
};
