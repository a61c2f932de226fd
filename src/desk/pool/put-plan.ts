/** What a bundle comes to on a medium that may already have the same release, from another bundle. */
import { join } from 'node:path';
import { readSmall } from '../../bundle/file.ts';
import { type HeadFiles, readHeadFiles } from '../../bundle/head-files.ts';
import { distinctPieces } from '../../bundle/members.ts';
import { cacheOf, hostsOf, indexName, nixSignaturesName, partsName, sbomName } from '../../bundle/pool.ts';
import type { EntryFiles } from '../../bundle/pool-write.ts';
import { NixmakerError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import { type Piece, parseContents, pieceName } from '../../core/release/contents-file.ts';
import { type Manifest, metaText } from '../../core/release/manifest.ts';
import { mergeNixSignatures, NixSignatures } from '../../core/release/nix-signatures.ts';
import { manifestDigest } from '../../signing/verify.ts';
import { mergeSignatures } from '../keys/signature-lines.ts';
import { contentsOf, mergePieces, type Pieces } from './merge-contents.ts';
import { type PoolFile, pieceFile, smallFile } from './pool-file.ts';
import type { Item } from './put-item.ts';

/** A file and what is known of the medium's copy: by size, because what is there is read back later. */
export interface Planned {
  readonly file: PoolFile;
  /** A piece that only the medium has: it can’t be written again. */
  readonly isTheirs: boolean;
  write: boolean;
}

export interface Plan {
  readonly folder: string;
  /** Whether the medium has the entry. */
  readonly isThere: boolean;
  readonly files: readonly Planned[];
  /** The entry’s files. @param lost paths of pieces that turned out to be missing from the medium */
  readonly entry: (lost: ReadonlySet<string>) => EntryFiles;
}

export const folderOf = (medium: string, { host, sequence }: Manifest): string =>
  join(hostsOf(medium), host, String(sequence));

/**
 * @param assumed paths of files that are taken to be there, without looking
 * @throws NixmakerError `sequence-conflict`
 */
export async function planItem(
  medium: string,
  item: Item,
  assumed: ReadonlySet<string> = new Set(),
): Promise<Plan> {
  const { bundle, head, digest } = item;
  const { manifest, pieces: ours } = bundle;
  const folder = folderOf(medium, manifest);
  const there = await readThere(folder, item);
  const theirs = there === undefined ? new Map<number, readonly Piece[]>() : await piecesThere(folder, item);
  const pieces = readableOr(ours, mergePieces(ours, theirs), item);
  const entry = (lost: ReadonlySet<string>): EntryFiles => ({
    'manifest.json': head.manifestBytes,
    'manifest.sig': signaturesOf(head.signatureBytes, there?.signatureBytes),
    contents: contentsOf(
      digest,
      without(pieces, (piece) => lost.has(join(cacheOf(medium), pieceName(piece)))),
    ),
    meta: Buffer.from(metaText(manifest)),
    [partsName]: item.parts,
    [sbomName]: item.sbom?.(),
  });
  const files = [...(await indexFiles(medium, item)), ...pieceFiles(medium, item, pieces)];
  return {
    folder,
    isThere: there !== undefined,
    files: await Promise.all(files.map((f) => planned(f, assumed))),
    entry,
  };
}

/** Both ways together, unless that exceeds what a target reads. */
function readableOr(ours: Pieces, merged: Pieces, { bundle, digest }: Item): Pieces {
  try {
    parseContents(contentsOf(digest, merged), { manifestDigest: digest, index: bundle.index });
    return merged;
  } catch (error) {
    if (!(error instanceof NixmakerError)) throw error;
    return ours;
  }
}

async function planned(
  { file, isTheirs = false }: Pick<Planned, 'file'> & Partial<Planned>,
  assumed: ReadonlySet<string>,
): Promise<Planned> {
  return { file, isTheirs, write: !isTheirs && !assumed.has(file.path) && !(await file.isThere()) };
}

async function readThere(folder: string, { bundle, digest }: Item): Promise<HeadFiles | undefined> {
  const there = await readHeadFiles(folder);
  if (there === undefined || manifestDigest(there.manifestBytes) === digest) return there;
  const { host, sequence } = bundle.manifest;
  throw new NixmakerError(
    'sequence-conflict',
    `the medium already has ${host}, sequence ${sequence}, with different contents`,
  );
}

/** None if its contents can’t be read: they are then replaced. */
async function piecesThere(folder: string, { bundle, digest }: Item): Promise<Pieces> {
  try {
    const bytes = await readSmall(join(folder, 'contents'), limits.contentsBytes);
    return parseContents(bytes ?? Buffer.alloc(0), { manifestDigest: digest, index: bundle.index });
  } catch (error) {
    if (!(error instanceof NixmakerError)) throw error;
    return new Map();
  }
}

/** Ours first: this repairs a line that was damaged on the medium. */
function signaturesOf(ours: Uint8Array, theirs: Uint8Array | undefined): Uint8Array {
  try {
    return mergeSignatures([ours, theirs ?? Buffer.alloc(0)]);
  } catch (error) {
    if (!(error instanceof NixmakerError)) throw error;
    return ours;
  }
}

async function indexFiles(medium: string, { bundle }: Item): Promise<{ readonly file: PoolFile }[]> {
  const { index, manifest } = bundle;
  const signatures = await nixSignaturesOf(medium, bundle);
  const bytes = Buffer.from(index.bytes.buffer, index.bytes.byteOffset, index.bytes.length);
  return [
    { file: smallFile(medium, { name: indexName(manifest), bytes }) },
    ...(signatures.length === 0
      ? []
      : [{ file: smallFile(medium, { name: nixSignaturesName(manifest), bytes: signatures }) }]),
  ];
}

/** Together with those already there, if readable. */
async function nixSignaturesOf(
  medium: string,
  { index, manifest, nixSignatures }: Item['bundle'],
): Promise<Buffer> {
  const path = join(cacheOf(medium), nixSignaturesName(manifest));
  try {
    const bytes = await readSmall(path, limits.nixSignatureBytes);
    const there = NixSignatures.parse(bytes ?? Buffer.alloc(0), index);
    const merged = mergeNixSignatures(there, nixSignatures);
    return NixSignatures.parse(merged, index).bytes;
  } catch (error) {
    if (!(error instanceof NixmakerError)) throw error;
    return nixSignatures.bytes;
  }
}

function pieceFiles(medium: string, { bundle }: Item, pieces: Pieces) {
  const ours = new Set([...distinctPieces(bundle)].map(pieceName));
  return [...distinctPieces({ pieces })].map((piece) => ({
    file: pieceFile(medium, { reader: bundle.reader, piece }),
    isTheirs: !ours.has(pieceName(piece)),
  }));
}

function without(pieces: Pieces, isLost: (piece: Piece) => boolean): Pieces {
  return new Map([...pieces].map(([line, all]) => [line, all.filter((piece) => !isLost(piece))]));
}
