/** A bundle that is to be put onto a medium. */
import type { OpenedBundle } from '../../bundle/contents.ts';
import { openBundle } from '../../bundle/open.ts';
import { SourceReader } from '../../bundle/sources.ts';
import type { BundleParts } from '../../bundle/write.ts';
import { manifestDigest } from '../../signing/verify.ts';
import { namingFile } from '../keys/naming-file.ts';
import type { Head } from '../keys/read-release.ts';
import { openSignedBundle } from '../keys/signed-bundle.ts';

export interface Item {
  readonly head: Head;
  /** Of the manifest: sha256, hexadecimal. */
  readonly digest: string;
  readonly bundle: OpenedBundle;
  readonly close: () => Promise<void>;
}

/** Opened and laid out as announced; pieces are checked as they are copied. */
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

/** Of a release that is in no bundle. */
export function itemOf({ manifestBytes, signatureBytes, release, sourceOf }: BundleParts): Item {
  const reader = new SourceReader(sourceOf);
  return {
    head: { manifestBytes, signatureBytes },
    digest: manifestDigest(manifestBytes),
    bundle: { ...release, reader },
    close: async () => reader.close(),
  };
}
