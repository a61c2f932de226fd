/** A bundle for others to read: it must be signed by then, for no target takes it unsigned. */
import { type BundleFile, openBundleFile } from '../../bundle/file.ts';
import { type Authenticated, authenticateBundle } from '../../bundle/open.ts';
import type { Manifest } from '../../core/bundle/manifest.ts';
import { NixmakerError } from '../../core/errors.ts';
import { parseSignatureFile } from '../../signing/signature-file.ts';
import { type Head, withoutVerifying } from './verify.ts';

export interface SignedBundle {
  readonly file: BundleFile;
  readonly authenticated: Authenticated<Head & { readonly manifest: Manifest }>;
}

/** Opens it; nothing is verified. @throws NixmakerError where it is no bundle, or is signed by nobody */
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

/** The error, with the name of the one file among several that it is about. */
export const namingFile = (error: unknown, path: string): unknown =>
  error instanceof NixmakerError
    ? new NixmakerError(error.code, `${path}: ${error.detail}`, { cause: error })
    : error;
