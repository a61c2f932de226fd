/** What a bundle says about itself, whoever wrote it: head, index, pieces. Nothing is verified. */
import { dirname, join } from 'node:path';
import { readClassicHead } from '../../bundle/classic.ts';
import { readSmall, withBundleFile } from '../../bundle/file.ts';
import type { Authentic } from '../../bundle/layout.ts';
import { readAnnouncements } from '../../bundle/layout.ts';
import { authenticateBundle } from '../../bundle/open.ts';
import { type Release, readIndex, type SignedIndex } from '../../bundle/release.ts';
import { NixmakerError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import type { ReleaseIndex } from '../../core/release/index-file.ts';
import type { Manifest } from '../../core/release/manifest.ts';
import { manifestDigest, readManifest } from '../../signing/verify.ts';

export interface Head {
  readonly manifestBytes: Uint8Array;
  readonly signatureBytes: Uint8Array;
}

/** For `inspect` and `sign`, which need what a bundle says about itself, whoever wrote it. */
export function withoutVerifying<H extends Head>(head: H): H & Authentic {
  return {
    ...head,
    manifest: readManifest(head.manifestBytes),
    digest: manifestDigest(head.manifestBytes),
  };
}

export const isClassic = (path: string): boolean => path.endsWith('.tar.gz');

/** @throws NixmakerError `not-a-bundle`, or a bundle’s own codes */
export async function readAnyHead(path: string): Promise<Head & Authentic> {
  if (isClassic(path)) {
    const head = await readClassicHead(path);
    if (head === undefined)
      throw new NixmakerError('not-a-bundle', 'there is no manifest.json and manifest.sig beside it');
    return withoutVerifying(head);
  }
  return withBundleFile(path, async (file) => (await authenticateBundle(file, withoutVerifying)).authentic);
}

/** The paths of a bundle in either format, as its manifest has them; nothing is verified. @throws NixmakerError a bundle’s own codes */
export async function readAnyIndex(path: string): Promise<SignedIndex> {
  if (!isClassic(path)) return readRelease(path);
  const { manifest } = await readAnyHead(path);
  return { manifest, index: await readClassicIndex(path, manifest) };
}

/** Beside the tarball. @throws NixmakerError `bundle-truncated` if it is missing, `bundle-altered`, `manifest-malformed` */
export async function readClassicIndex(tarball: string, manifest: Manifest): Promise<ReleaseIndex> {
  const bytes = await readSmall(join(dirname(tarball), 'index'), limits.indexBytes);
  if (bytes === undefined) throw new NixmakerError('bundle-truncated', 'its index is missing beside it');
  return readIndex(bytes, manifest);
}

/** For a single file. Its pieces need not be there. @throws NixmakerError a bundle’s own codes */
export async function readRelease(path: string): Promise<Release> {
  return withBundleFile(path, async (file) => {
    const authenticated = await authenticateBundle(file, withoutVerifying);
    return (await readAnnouncements(file, authenticated)).release;
  });
}
