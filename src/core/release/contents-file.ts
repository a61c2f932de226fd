/**
 * `contents` of format 2: how a release travels in this bundle or on this medium. Not signed: it says which compressed file may hold
 * a path’s NAR. Its digests find damage early; NAR hashes decide. An index line it does not mention is expected to be on
 * the target.
 *
 * The first line is the manifest’s digest, so that a medium’s contents are not mistaken for another release’s. Each of the others is
 * `[line,"whole",size,digest]` or `[line,"delta",size,digest,base,baseNarHash]`, in index order; if there are several for one line,
 * the first usable one counts.
 */

import { limits } from '../limits.ts';
import { fromBaseName, nix32, type StorePath, toBaseName } from '../store-path.ts';
import type { ReleaseIndex } from './index-file.ts';
import { malformed, readLines } from './lines.ts';

/** A compressed file with a path’s NAR, or with a delta that leads to it. */
export type Piece = WholePiece | DeltaPiece;

interface SizedPiece {
  /** The index line’s number. */
  readonly line: number;
  /** Bytes of the file. */
  readonly size: number;
  /** sha256 of the file, in Nix’s base 32. */
  readonly digest: string;
}

export interface WholePiece extends SizedPiece {
  readonly kind: 'whole';
}

export interface DeltaPiece extends SizedPiece {
  readonly kind: 'delta';
  /** A path that the target has. */
  readonly base: StorePath;
  /** What it must contain, sha256 in base 32: the same path can have been built with other contents. */
  readonly baseNarHash: string;
}

const source = { code: 'bundle-malformed', name: 'contents' } as const;
/** Whole, and as a delta. */
const mostLines = 2 * limits.lines;
const digestForm = new RegExp(`^[${nix32}]{52}$`);

export const pieceName = ({ kind, digest }: Pick<Piece, 'kind' | 'digest'>): string =>
  kind === 'whole'
    ? `nar/${digest.slice(0, 2)}/${digest}.nar.zst`
    : `delta/${digest.slice(0, 2)}/${digest}.zst`;

/** @param manifestDigest sha256 of the manifest, in hexadecimal */
export function encodeContents(manifestDigest: string, pieces: Iterable<Piece>): string {
  let text = `${JSON.stringify(manifestDigest)}\n`;
  for (const piece of pieces) {
    const { line, kind, size, digest } = piece;
    const base = piece.kind === 'delta' ? [toBaseName(piece.base), piece.baseNarHash] : [];
    text += `${JSON.stringify([line, kind, size, digest, ...base])}\n`;
  }
  return text;
}

/** The most bytes a release’s contents can have: this many ways per line. */
export const mostContentsBytes = ({ length }: Pick<ReleaseIndex, 'length'>): number =>
  Math.min(limits.contentsBytes, limits.contentsLineBytes * (1 + length * limits.piecesOfALine));

/**
 * The pieces by index line.
 * @throws NixmakerError `bundle-malformed`
 */
export function parseContents(
  bytes: Uint8Array,
  { manifestDigest, index }: { readonly manifestDigest: string; readonly index: ReleaseIndex },
): ReadonlyMap<number, readonly Piece[]> {
  const most = mostContentsBytes(index);
  if (bytes.length > most) malformed(source, `it has ${bytes.length} bytes; the limit is ${most}`);
  const pieces = new Map<number, Piece[]>();
  let last = 0;
  let isHeaded = false;
  readLines({ ...source, bytes, most: mostLines }, (value, number) => {
    if (number === 0) {
      if (value !== manifestDigest) malformed(source, 'it belongs to another manifest');
      isHeaded = true;
      return;
    }
    const piece = pieceOf(value, index, (detail) => malformed(source, `line ${number + 1}: ${detail}`));
    if (piece.line < last) malformed(source, `line ${number + 1}: it is out of order`);
    last = piece.line;
    const same = pieces.get(piece.line);
    if (same === undefined) pieces.set(piece.line, [piece]);
    else if (same.length < limits.piecesOfALine) same.push(piece);
    else malformed(source, `line ${number + 1}: more than ${limits.piecesOfALine} pieces for one path`);
  });
  if (!isHeaded) malformed(source, 'it is empty');
  return pieces;
}

/**
 * The names of all pieces, without needing the index: for deleting what nobody needs.
 * @throws NixmakerError `bundle-malformed`
 */
export function namesInContents(bytes: Uint8Array): ReadonlySet<string> {
  if (bytes.length > limits.contentsBytes)
    malformed(source, `it has ${bytes.length} bytes; the limit is ${limits.contentsBytes}`);
  const names = new Set<string>();
  let isHeaded = false;
  readLines({ ...source, bytes, most: mostLines }, (value, number) => {
    if (number > 0)
      names.add(nameIn(value) ?? malformed(source, `line ${number + 1}: it does not name a piece`));
    else if (typeof value === 'string') isHeaded = true;
  });
  if (!isHeaded) malformed(source, 'it does not begin with a manifest digest');
  return names;
}

function nameIn(value: unknown): string | undefined {
  if (!Array.isArray(value)) return undefined;
  const [, kind, , digest] = value as readonly unknown[];
  if ((kind !== 'whole' && kind !== 'delta') || typeof digest !== 'string') return undefined;
  return digestForm.test(digest) ? pieceName({ kind, digest }) : undefined;
}

function pieceOf(value: unknown, index: ReleaseIndex, fault: (detail: string) => never): Piece {
  if (!Array.isArray(value)) return fault('it has the wrong fields');
  const [line, kind, size, digest, base, baseNarHash] = value as readonly unknown[];
  if (value.length !== (kind === 'delta' ? 6 : 4)) return fault('it has the wrong fields');
  if (typeof line !== 'number' || !Number.isInteger(line) || line < 0 || line >= index.length)
    return fault('the index has no such line');
  const most = index.narSize(line) + limits.pieceSlack;
  if (typeof size !== 'number' || !Number.isInteger(size) || size < 1 || size > most)
    return fault('its size is invalid');
  if (typeof digest !== 'string' || !digestForm.test(digest)) return fault('its digest is invalid');
  if (kind === 'whole') return { line, kind, size, digest };
  if (kind !== 'delta') return fault('its kind is unknown');
  const path = typeof base === 'string' ? fromBaseName(base) : undefined;
  if (path === undefined) return fault('its base is not a store path');
  if (typeof baseNarHash !== 'string' || !digestForm.test(baseNarHash))
    return fault('its base’s hash is invalid');
  return { line, kind, size, digest, base: path, baseNarHash };
}
