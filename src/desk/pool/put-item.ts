/** A bundle that is to be put onto a medium. */
import type { OpenedBundle } from '../../bundle/contents.ts';
import { openBundleFile } from '../../bundle/file.ts';
import { authenticateBundle, openBundle } from '../../bundle/open.ts';
import type { Manifest } from '../../core/bundle/manifest.ts';
import { NixmakerError } from '../../core/errors.ts';
import { parseSignatureFile } from '../../signing/signature-file.ts';
import { type Head, withoutVerifying } from '../keys/verify.ts';

export interface Item {
  readonly manifest: Manifest;
  readonly head: Head;
  readonly bundle: OpenedBundle;
  readonly close: () => Promise<void>;
}

/** Opened and laid out as signed; NARs are checked as they are copied. */
export async function openItem(path: string): Promise<Item> {
  const file = await openBundleFile(path);
  try {
    const authenticated = await authenticateBundle(file, withoutVerifying);
    const { manifest, manifestBytes, signatureBytes } = authenticated.authentic;
    // No target takes it unsigned, and a pool's manifest can't be signed in place.
    parseSignatureFile(signatureBytes);
    const bundle = await openBundle(file, authenticated);
    return { manifest, head: { manifestBytes, signatureBytes }, bundle, close: () => file.close() };
  } catch (error) {
    await file.close();
    if (error instanceof NixmakerError)
      throw new NixmakerError(error.code, `${path}: ${error.detail}`, { cause: error });
    throw error;
  }
}
