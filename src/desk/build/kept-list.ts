/**
 * The list of a run's compressed NARs (nar-cache.ts): a line that says what compressed them, the checksum of everything that follows, then
 * one line each. Threat: a disk that flips bits. What a NAR is made of is signed as the list has it, and nothing checks it again.
 */
import { createHash } from 'node:crypto';

/** The list's own name, next to the pieces. */
export const keptList = 'list';
/** Holds all of a run's small pieces, one after another. */
export const piecesFile = 'pieces';

export interface KeptNar {
  /** sha256 in Nix’s base 32, without prefix. */
  readonly narHash: string;
  readonly narSize: number;
  /** The same for the compressed bytes. */
  readonly digest: string;
  readonly size: number;
  /** The checksum with which they are looked through before they are used (bundle/piece-sum.ts). */
  readonly sum: string;
  /** The file that holds them, in the run's folder, and the offset where they begin. */
  readonly file: string;
  readonly position: number;
  readonly files: number;
  readonly blocks: number;
  readonly expressions: number;
}

/** zstd’s default, and Nix’s. */
export const zstdLevel = 3;

/** Another version of zstd may give different bytes, but the same flake must give the same bundle. */
const header = `nixmaker-nars 4 zstd ${process.versions.zstd} level ${zstdLevel}`;
const line =
  /^([0-9a-z]{52}) (\d{1,15}) ([0-9a-z]{52}) (\d{1,15}) ([0-9a-f]{32}) (pieces|[0-9a-z]{32}\.zst) (\d{1,15}) (\d{1,15}) (\d{1,15}) (\d{1,15})$/;

export function encodeKeptList(nars: readonly KeptNar[]): string {
  const lines = nars.map((n) =>
    [
      n.narHash,
      n.narSize,
      n.digest,
      n.size,
      n.sum,
      n.file,
      n.position,
      n.files,
      n.blocks,
      n.expressions,
    ].join(' '),
  );
  const text = lines.map((each) => `${each}\n`).join('');
  return `${header}\n${sumOf(text)}\n${text}`;
}

const sumOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** @returns undefined for anything that isn’t a list, is damaged, or is from another zstd */
export function readKeptList(text: string): KeptNar[] | undefined {
  const [first, sum = '', ...rest] = text.split('\n');
  if (first !== header || sum !== sumOf(rest.join('\n')) || rest.pop() !== '') return undefined;
  const nars: KeptNar[] = [];
  for (const each of rest) {
    const match = line.exec(each);
    if (match === null) return undefined;
    const [, narHash = '', narSize, digest = '', size, sum = '', file = '', ...numbers] = match;
    const [position, files, blocks, expressions] = numbers;
    nars.push({
      narHash,
      narSize: Number(narSize),
      digest,
      size: Number(size),
      sum,
      file,
      position: Number(position),
      files: Number(files),
      blocks: Number(blocks),
      expressions: Number(expressions),
    });
  }
  return nars;
}
