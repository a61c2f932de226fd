/**
 * A release as it is read from a bundle, a pool or the desk’s folder: the signed manifest and index, and what travels with them
 * unsigned. Index before all else: by size and digest, and only then parsed.
 */
import { createHash } from 'node:crypto';
import { NixmakerError } from '../core/errors.ts';
import { type Piece, parseContents } from '../core/release/contents-file.ts';
import { ReleaseIndex } from '../core/release/index-file.ts';
import { type Manifest, rootOf } from '../core/release/manifest.ts';
import { NixSignatures } from '../core/release/nix-signatures.ts';

export interface SignedIndex {
  readonly manifest: Manifest;
  readonly index: ReleaseIndex;
}

export interface Release extends SignedIndex {
  readonly nixSignatures: NixSignatures;
  /** Ways to have a path, by line of the index. */
  readonly pieces: ReadonlyMap<number, readonly Piece[]>;
  readonly contentsBytes: Buffer;
}

/**
 * @param bytes of an index, whoever gives it
 * @throws NixmakerError `bundle-altered` where it is not what the manifest signs, `manifest-malformed`
 */
export function readIndex(bytes: Uint8Array, manifest: Manifest): ReleaseIndex {
  const { size, sha256 } = manifest.index;
  if (bytes.length !== size || createHash('sha256').update(bytes).digest('hex') !== sha256)
    throw new NixmakerError('bundle-altered', 'the index is not what was signed');
  const index = ReleaseIndex.parse(bytes, rootOf(manifest));
  const { totals } = index;
  for (const key of Object.keys(totals) as (keyof typeof totals)[])
    if (totals[key] !== manifest.totals[key])
      throw new NixmakerError('manifest-malformed', `its total of ${key} is not what its index adds up to`);
  return index;
}

/** @throws NixmakerError as `readIndex`; `bundle-malformed` for what is not signed */
export function readRelease(
  { manifest, digest }: { readonly manifest: Manifest; readonly digest: string },
  files: {
    readonly index: Uint8Array;
    readonly nixSignatures: Buffer;
    readonly contents: Buffer;
  },
): Release {
  const index = readIndex(files.index, manifest);
  return {
    manifest,
    index,
    nixSignatures: NixSignatures.parse(files.nixSignatures, index),
    pieces: parseContents(files.contents, { manifestDigest: digest, index }),
    contentsBytes: files.contents,
  };
}
