/** Bundles that are in memory, opened as the agent opens them. */
import { checkAllPieces, type OpenedBundle } from '../../src/bundle/contents.ts';
import type { BundleFile } from '../../src/bundle/file.ts';
import { type BaseNar, NarReader } from '../../src/bundle/nar-reader.ts';
import { authenticateBundle, openBundle } from '../../src/bundle/open.ts';
import { NixmakerError } from '../../src/core/errors.ts';
import { manifestDigest, readManifest, type TrustSet, verifyManifest } from '../../src/signing/verify.ts';
import { bytesOf } from '../support/bundles.ts';

/** A file that is in memory. */
export function memoryFile(bytes: Buffer): BundleFile {
  const readInto = async (buffer: Buffer, position: number) =>
    position >= bytes.length
      ? 0
      : bytes.copy(buffer, 0, position, Math.min(bytes.length, position + buffer.length));
  return {
    name: 'memory',
    size: async () => bytes.length,
    read: async (position, length) => {
      if (position + length > bytes.length)
        throw new NixmakerError('bundle-truncated', `the file ends at byte ${bytes.length}`);
      return Buffer.from(bytes.subarray(position, position + length));
    },
    readInto,
    close: async () => undefined,
  };
}

/** The NAR of a path that this machine has; nothing where it has none. */
/**
 * Everything that the agent does with a bundle, up to giving it to Nix. Without more said this machine has no base of any difference.
 * @throws NixmakerError for all that is wrong
 */
export async function openFromMemory(
  bytes: Buffer,
  trust: TrustSet | undefined,
  narOf: BaseNar = () => bytesOf(Buffer.alloc(0)),
): Promise<OpenedBundle> {
  const file = memoryFile(bytes);
  const authenticated = await authenticateBundle(file, (head) =>
    trust === undefined
      ? { manifest: readManifest(head.manifestBytes), digest: manifestDigest(head.manifestBytes) }
      : verifyManifest(head.manifestBytes, head.signatureBytes, trust),
  );
  const bundle = await openBundle(file, authenticated);
  await checkAllPieces(bundle);
  await readAllNars(bundle, narOf);
  return bundle;
}

/** In every way that is offered. */
async function readAllNars({ index, pieces, reader }: OpenedBundle, narOf: BaseNar): Promise<void> {
  const nars = new NarReader(reader, narOf);
  for (const [line, ways] of pieces)
    for (const piece of ways)
      for await (const chunk of nars.read(index.info(line), piece)) if (chunk.length === 0) continue;
}
