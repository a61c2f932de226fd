/** What a genuine agent hands over to root with a request. */
import { withBundleFile } from '../../src/bundle/file.ts';
import { readAnnouncements } from '../../src/bundle/layout.ts';
import { authenticateBundle } from '../../src/bundle/open.ts';
import { withoutVerifying } from '../../src/desk/keys/read-release.ts';

export interface Signed {
  readonly manifest: Buffer;
  readonly signatures: Buffer;
  readonly index: Buffer;
}

export const signedParts = (path: string): Promise<Signed> =>
  withBundleFile(path, async (file) => {
    const authenticated = await authenticateBundle(file, withoutVerifying);
    const { manifestBytes, signatureBytes } = authenticated.head;
    const { release } = await readAnnouncements(file, authenticated);
    return { manifest: manifestBytes, signatures: signatureBytes, index: Buffer.from(release.index.bytes) };
  });
