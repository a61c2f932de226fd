/**
 * The fuzz target: any bytes as a bundle, as a manifest, as each of the texts that come from outside. Whatever they are, they
 * are refused with a code, or they are the genuine bundle. The signature of the function is libFuzzer’s, so that a
 * coverage-guided fuzzer can drive it as well as main.ts.
 */
import { checkAllPieces, type OpenedBundle } from '../../src/bundle/contents.ts';
import type { BundleFile } from '../../src/bundle/file.ts';
import { NarReader } from '../../src/bundle/nar-reader.ts';
import { authenticateBundle, openBundle } from '../../src/bundle/open.ts';
import { sizeFromHeader } from '../../src/bundle/ustar.ts';
import { parseNarinfo } from '../../src/core/bundle/narinfo.ts';
import { NixmakerError } from '../../src/core/errors.ts';
import { policyParser } from '../../src/core/policy/policy.ts';
import { settingsParser } from '../../src/core/policy/settings.ts';
import { parseContents } from '../../src/core/release/contents-file.ts';
import { ReleaseIndex } from '../../src/core/release/index-file.ts';
import { parseManifest } from '../../src/core/release/manifest.ts';
import { NixSignatures } from '../../src/core/release/nix-signatures.ts';
import { parseDrvPath, parseStorePath } from '../../src/core/store-path.ts';
import { peekKeyring } from '../../src/signing/keyring.ts';
import { parsePublicKey, parseSecretKey } from '../../src/signing/nix-key.ts';
import { parseSignatureFile } from '../../src/signing/signature-file.ts';
import { manifestDigest, readManifest, type TrustSet, verifyManifest } from '../../src/signing/verify.ts';
import { parseConfig } from '../../src/state/config.ts';
import { digits, indexedPath, indexOf, storePathOf } from '../support/releases.ts';

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
        throw new NixmakerError('bundle-truncated', `it ends at byte ${bytes.length}`);
      return Buffer.from(bytes.subarray(position, position + length));
    },
    readInto,
    close: async () => undefined,
  };
}

/** Everything that the agent does with a bundle, up to giving it to Nix. @throws NixmakerError for all that is wrong */
export async function openFromMemory(bytes: Buffer, trust: TrustSet | undefined): Promise<void> {
  const file = memoryFile(bytes);
  const authenticated = await authenticateBundle(file, (head) =>
    trust === undefined
      ? { manifest: readManifest(head.manifestBytes), digest: manifestDigest(head.manifestBytes) }
      : verifyManifest(head.manifestBytes, head.signatureBytes, trust),
  );
  const bundle = await openBundle(file, authenticated);
  await checkAllPieces(bundle);
  await readAllNars(bundle);
}

/** In every way that is offered. This machine has no base of any difference. */
async function readAllNars({ index, pieces, reader }: OpenedBundle): Promise<void> {
  const nars = new NarReader(reader, async function* () {});
  for (const [line, ways] of pieces)
    for (const piece of ways)
      for await (const chunk of nars.read(index.info(line), piece)) if (chunk.length === 0) continue;
}

/** What the unsigned texts are read against. */
const index = indexOf([
  indexedPath(1),
  indexedPath(2, [], { ca: `text:sha256:${digits(1, 52)}` }),
  indexedPath(3, [1, 2, 3]),
]);
export const fuzzedDigest = 'c'.repeat(64);

const config = (schema: typeof policyParser | typeof settingsParser) => (text: string) =>
  parseConfig(text, { path: 'x', schema, code: 'policy-malformed' });

/** Whatever reads text that somebody else wrote. Each returns, or throws a NixmakerError. */
export const textParsers: Readonly<Record<string, (text: string) => unknown>> = {
  parseManifest,
  parseIndex: (text) => ReleaseIndex.parse(Buffer.from(text), storePathOf(3)),
  parseContents: (text) => parseContents(Buffer.from(text), { manifestDigest: fuzzedDigest, index }),
  parseNixSignatures: (text) => NixSignatures.parse(Buffer.from(text), index),
  parseNarinfo,
  parsePublicKey,
  parseSecretKey,
  parseStorePath,
  parseDrvPath,
  parseSignatureFile: (text) => parseSignatureFile(Buffer.from(text)),
  sizeFromHeader: (text) =>
    sizeFromHeader(Buffer.from(text.padEnd(512, '\0')).subarray(0, 512), 'manifest.json'),
  peekKeyring,
  policy: config(policyParser),
  settings: config(settingsParser),
};

/** @throws anything but a NixmakerError: a bug */
export async function fuzz(data: Buffer): Promise<void> {
  for (const parse of Object.values(textParsers)) {
    try {
      parse(data.toString('utf8'));
    } catch (error) {
      if (!(error instanceof NixmakerError)) throw error;
    }
  }
  try {
    await openFromMemory(data, undefined);
  } catch (error) {
    if (!(error instanceof NixmakerError)) throw error;
  }
}
