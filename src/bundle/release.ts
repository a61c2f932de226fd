/**
 * A release as read from a bundle, a pool or the desk’s folder: the signed manifest and index, and what travels with them
 * unsigned. The index comes first: checked by size and digest, and only then parsed.
 */
import { createHash } from 'node:crypto';
import { type Piece, parseContents } from '../core/release/contents-file.ts';
import type { ReleaseIndex } from '../core/release/index-file.ts';
import type { Manifest } from '../core/release/manifest.ts';
import { NixSignatures } from '../core/release/nix-signatures.ts';
import { readIndexOf } from '../core/release/signed-index.ts';

export interface SignedIndex {
  readonly manifest: Manifest;
  readonly index: ReleaseIndex;
}

export interface Release extends SignedIndex {
  readonly nixSignatures: NixSignatures;
  /** Ways to obtain a path, by index line. */
  readonly pieces: ReadonlyMap<number, readonly Piece[]>;
  readonly contentsBytes: Buffer;
}

/** @throws NixmakerError as `readIndexOf` */
export const readIndex = (bytes: Uint8Array, manifest: Manifest): ReleaseIndex =>
  readIndexOf(manifest, bytes, createHash('sha256').update(bytes).digest('hex'));

/** @throws NixmakerError as `readIndexOf`; `bundle-malformed` for the unsigned parts */
export function readRelease(
  { manifest, digest }: { readonly manifest: Manifest; readonly digest: string },
  files: {
    readonly index: Uint8Array;
    readonly nixSignatures: Buffer;
    readonly contents: Buffer;
  },
): Release {
  return withUnsigned({ manifest, digest, index: readIndex(files.index, manifest) }, files);
}

/** With the unsigned parts beside the index. @throws NixmakerError `bundle-malformed` */
export function withUnsigned(
  { manifest, digest, index }: SignedIndex & { readonly digest: string },
  { nixSignatures, contents }: { readonly nixSignatures: Buffer; readonly contents: Buffer },
): Release {
  return {
    manifest,
    index,
    nixSignatures: NixSignatures.parse(nixSignatures, index),
    pieces: parseContents(contents, { manifestDigest: digest, index }),
    contentsBytes: contents,
  };
}
