/** A bundle for others to read: it must be signed by then, because no target takes an unsigned one. */
import { type BundleFile, openBundleFile } from '../../bundle/file.ts';
import type { Authentic } from '../../bundle/layout.ts';
import { type Authenticated, authenticateBundle } from '../../bundle/open.ts';
import { parseSignatureFile } from '../../signing/signature-file.ts';
import { namingFile } from './naming-file.ts';
import { type Head, withoutVerifying } from './read-release.ts';

export interface SignedBundle {
  readonly file: BundleFile;
  readonly authenticated: Authenticated<Head & Authentic>;
}

/** Opens it; nothing is verified. @throws NixmakerError if it isn’t a bundle, or is unsigned */
export async function openSignedBundle(path: string): Promise<SignedBundle> {
  const file = await openBundleFile(path);
  try {
    const authenticated = await authenticateBundle(file, withoutVerifying);
    parseSignatureFile(authenticated.authentic.signatureBytes);
    return { file, authenticated };
  } catch (error) {
    await file.close();
    throw namingFile(error, path);
  }
}
