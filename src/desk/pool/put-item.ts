/** A bundle that is to be put onto a medium. */
import type { OpenedBundle } from '../../bundle/contents.ts';
import { openBundle } from '../../bundle/open.ts';
import type { Manifest } from '../../core/bundle/manifest.ts';
import { namingFile, openSignedBundle } from '../keys/signed-bundle.ts';
import type { Head } from '../keys/verify.ts';

export interface Item {
  readonly manifest: Manifest;
  readonly head: Head;
  readonly bundle: OpenedBundle;
  readonly close: () => Promise<void>;
}

/** Opened and laid out as signed; NARs are checked as they are copied. */
export async function openItem(path: string): Promise<Item> {
  // A pool's manifest can't be signed in place.
  const { file, authenticated } = await openSignedBundle(path);
  const { manifest, manifestBytes, signatureBytes } = authenticated.authentic;
  try {
    const bundle = await openBundle(file, authenticated);
    return { manifest, head: { manifestBytes, signatureBytes }, bundle, close: () => file.close() };
  } catch (error) {
    await file.close();
    throw namingFile(error, path);
  }
}
