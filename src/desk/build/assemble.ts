/** From a closure’s counted paths to an index, the manifest’s contents, and the pieces a bundle carries. */
import { createHash } from 'node:crypto';
import type { Source } from '../../bundle/sources.ts';
import { NixmakerError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import type { Piece } from '../../core/release/contents-file.ts';
import {
  type Content,
  encodeManifest,
  type Manifest,
  type ManifestInput,
  rootOf,
} from '../../core/release/manifest.ts';
import { encodeIndex, type IndexedPath } from '../../core/release/write-index.ts';
import type { DrvPath, StorePath } from '../../core/store-path.ts';
import { readManifest } from '../../signing/verify.ts';
import type { CachedFile } from './cache-folder.ts';
import type { MadeDelta } from './deltas.ts';

export interface BundleIdentity {
  readonly host: string;
  readonly system: string;
  readonly createdAt: string;
  readonly expiresAt?: string;
  /** The only machine that may take it. */
  readonly machineId?: string;
  readonly downgradeFrom?: number;
  /** Why a machine that has run it must not go back by itself. */
  readonly noWayBack?: string;
  readonly content: Content;
  readonly derivation: DrvPath;
  readonly toplevel: StorePath;
  readonly notes?: string;
  readonly flake?: NonNullable<ManifestInput['flake']>;
}

/** The way manifests spell a time. @param epoch seconds since 1970 */
export const timestampOf = (epoch: number): string =>
  new Date(epoch * 1000).toISOString().replace(/\.\d+Z$/, 'Z');

export interface Assembled {
  /** The whole manifest except the sequence and, for a classic pair, the tarball. */
  readonly input: Omit<ManifestInput, 'sequence' | 'tarball'>;
  readonly indexBytes: Buffer;
  /** In index order. */
  readonly pieces: readonly Piece[];
  readonly sourceOf: (piece: Piece) => Source;
}

/** What travels, and where it is stored. */
export interface Carried {
  /** The file that holds a path’s NAR; undefined if the path is left out. */
  readonly fileOf: (path: StorePath) => CachedFile | undefined;
  /** Instead of whole files: for each line, as many deltas as the targets’ different bases need. */
  readonly deltas: ReadonlyMap<StorePath, readonly MadeDelta[]>;
  /** Where a whole piece is stored. */
  readonly placeOf: (piece: Piece) => Source;
}

/**
 * What is left out or carried as a delta is not in the manifest: a release has one manifest, however it travels.
 * @throws NixmakerError `closure-incomplete`, `bundle-too-large`
 */
export function assemble(
  identity: BundleIdentity,
  paths: readonly IndexedPath[],
  { fileOf, deltas, placeOf }: Carried,
): Assembled {
  const index = encodeIndex(paths, rootOf(identity));
  const indexBytes = Buffer.from(index.text);
  const pieces = index.paths.flatMap((path, line): Piece[] => {
    const made = deltas.get(path);
    if (made !== undefined) return made.map(({ piece }) => ({ line, ...piece }));
    const file = fileOf(path);
    return file === undefined ? [] : [{ kind: 'whole', line, ...file }];
  });
  const made = [...deltas.values()].flat();
  const deltaFiles = new Map(made.map(({ piece, file }) => [piece.digest, { path: file }]));
  return {
    input: {
      ...identity,
      schema: 2,
      totals: index.totals,
      index: { size: indexBytes.length, sha256: createHash('sha256').update(indexBytes).digest('hex') },
    },
    indexBytes,
    pieces,
    sourceOf: (piece) =>
      (piece.kind === 'delta' ? deltaFiles.get(piece.digest) : undefined) ?? placeOf(piece),
  };
}

export interface CheckedManifest {
  readonly bytes: Buffer;
  readonly manifest: Manifest;
}

/**
 * The manifest’s bytes, read back as a target would read them, so that nothing is written that a target would refuse.
 * @throws NixmakerError `bundle-too-large`, `manifest-malformed`
 */
export function encodeCheckedManifest(input: ManifestInput): CheckedManifest {
  const bytes = Buffer.from(encodeManifest(input));
  if (bytes.length > limits.manifestBytes) {
    throw new NixmakerError(
      'bundle-too-large',
      `its manifest would have ${bytes.length} bytes; the limit is ${limits.manifestBytes}`,
    );
  }
  return { bytes, manifest: readManifest(bytes) };
}
