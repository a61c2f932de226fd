/** A bundle to be put on a medium. */
import type { OpenedBundle } from '../../bundle/contents.ts';
import { openBundle } from '../../bundle/open.ts';
import { SourceReader } from '../../bundle/sources.ts';
import type { BundleParts } from '../../bundle/write.ts';
import type { Piece } from '../../core/release/contents-file.ts';
import { manifestDigest } from '../../signing/verify.ts';
import { namingFile } from '../keys/naming-file.ts';
import type { Head } from '../keys/read-release.ts';
import { sbomOf } from '../keys/sbom.ts';
import { openSignedBundle } from '../keys/signed-bundle.ts';

export interface Item {
  readonly head: Head;
  /** The manifest’s: sha256, hexadecimal. */
  readonly digest: string;
  readonly bundle: OpenedBundle;
  /** `parts.json`, if the medium is one of several. */
  readonly parts?: Uint8Array;
  /** Makes `sbom.cdx.json`, if it is to be there: as long as the index several times over, so it is not kept. */
  readonly sbom?: () => Uint8Array;
  readonly close: () => Promise<void>;
}

/** What one of several media carries of a release. */
export interface PartItem {
  readonly carries: (piece: Piece) => boolean;
  /** `parts.json`. */
  readonly hint: Uint8Array;
}

/** The same release, with fewer pieces. */
export function onlyPart(item: Item, { carries, hint }: PartItem): Item {
  const pieces = new Map<number, readonly Piece[]>();
  for (const [line, ways] of item.bundle.pieces) {
    const here = ways.filter(carries);
    if (here.length > 0) pieces.set(line, here);
  }
  return { ...item, parts: hint, bundle: { ...item.bundle, pieces } };
}

/** The same release, with a list of what is in it. @param version nixmaker’s own */
export function withSbom(item: Item, version: string): Item {
  const { bundle, digest } = item;
  return { ...item, sbom: () => Buffer.from(sbomOf(bundle, digest, version)) };
}

/** Opened, with the announced layout; pieces are checked as they are copied. */
export async function openItem(path: string): Promise<Item> {
  const { file, authenticated } = await openSignedBundle(path);
  const { manifestBytes, signatureBytes, digest } = authenticated.authentic;
  try {
    const bundle = await openBundle(file, authenticated);
    return { head: { manifestBytes, signatureBytes }, digest, bundle, close: () => file.close() };
  } catch (error) {
    await file.close();
    throw namingFile(error, path);
  }
}

/** For a release that is not in a bundle. */
export function itemOf({ manifestBytes, signatureBytes, release, sourceOf }: BundleParts): Item {
  const reader = new SourceReader(sourceOf);
  return {
    head: { manifestBytes, signatureBytes },
    digest: manifestDigest(manifestBytes),
    bundle: { ...release, reader },
    close: async () => reader.close(),
  };
}
