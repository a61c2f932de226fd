/**
 * Adds signatures to a bundle. What is signed is the manifest, which never changes, so it can be signed alone, by somebody who
 * does not have the rest. A Nix key also signs every path in the index, for Nix’s own check; the target vouches for paths that no
 * key trusted by its Nix has signed (target/root/vouch.ts).
 */
import { dirname, join } from 'node:path';
import { readSmall, withBundleFile } from '../../bundle/file.ts';
import { readSignatureFile } from '../../bundle/head-files.ts';
import { authenticateBundle, openBundle } from '../../bundle/open.ts';
import type { Release } from '../../bundle/release.ts';
import { writeBundle } from '../../bundle/write.ts';
import { NixmakerError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import { pieceName } from '../../core/release/contents-file.ts';
import type { Manifest } from '../../core/release/manifest.ts';
import { mergeNixSignatures, NixSignatures } from '../../core/release/nix-signatures.ts';
import { writeWhole } from '../../files/write.ts';
import type { SecretKey } from '../../signing/nix-key.ts';
import { preAuthenticationEncoding } from '../../signing/pae.ts';
import { parseSignatureFile } from '../../signing/signature-file.ts';
import type { Signer } from '../../signing/signer.ts';
import { parseTrustedKey } from '../../signing/trusted-key.ts';
import { manifestDigest, readManifest } from '../../signing/verify.ts';
import { PathSigner } from '../build/path-signer.ts';
import { alone } from './alone.ts';
import { checkPieces } from './check-pieces.ts';
import { namingFile } from './naming-file.ts';
import { type Head, isClassic, withoutVerifying } from './read-release.ts';
import { mergeSignatures } from './signature-lines.ts';
import { checkEverything } from './verify.ts';

/** Signs in place, atomically. What is signed is checked first, so that a damaged bundle never looks good. */
export async function signBundleFile(path: string, signer: Signer): Promise<void> {
  await changeSignatures(path, {
    signatures: ({ manifestBytes, signatureBytes }) => addSignature(signatureBytes, manifestBytes, signer),
    nixSignatures: (release) => addNixSignatures(release, signer.key),
  });
}

/**
 * Adds others’ signatures. Nobody can tell whether they fit without their keys (`verify`).
 * @param files `manifest.sig` of others
 * @returns the names of the added keys
 */
export async function addSignatureFiles(path: string, files: readonly string[]): Promise<readonly string[]> {
  const given = await Promise.all(files.map(readSignatures));
  let added: readonly string[] = [];
  await changeSignatures(path, {
    signatures: async ({ signatureBytes }) => {
      // What is given now counts: this is how a mix-up is put right.
      const merged = mergeSignatures([...given, signatureBytes]);
      const before = new Set(linesOf(signatureBytes));
      added = linesOf(merged).flatMap((line) => (before.has(line) ? [] : [line.slice(0, line.indexOf(':'))]));
      return merged;
    },
    nixSignatures: ({ nixSignatures }) => nixSignatures,
  });
  return added;
}

/** What a person should see of a manifest before signing it. */
export interface ShownManifest {
  readonly manifest: Manifest;
  /** sha256 of its bytes in hexadecimal, to compare with another signer’s. */
  readonly digest: string;
  /** From the signatures beside it; nothing was checked. */
  readonly claimedSigners: readonly string[];
}

/**
 * Signs a manifest alone, into `manifest.sig` beside it, which is created or gets the line. `onManifest` shows what a person
 * should see first.
 */
export const signManifestFile = (
  path: string,
  signer: Signer,
  onManifest: (shown: ShownManifest) => void = () => undefined,
): Promise<void> => alone(path, () => signManifest(path, signer, onManifest));

async function signManifest(
  path: string,
  signer: Signer,
  onManifest: (shown: ShownManifest) => void,
): Promise<void> {
  const manifestBytes = await readSmall(path, limits.manifestBytes);
  if (manifestBytes === undefined) throw new NixmakerError('usage', `there is no ${path}`);
  const existing = (await readSignatureFile(dirname(path))) ?? Buffer.alloc(0);
  onManifest({
    manifest: readManifest(manifestBytes),
    digest: manifestDigest(manifestBytes),
    claimedSigners: namesIn(existing),
  });
  const signatures = await addSignature(existing, manifestBytes, signer);
  await writeWhole(join(dirname(path), 'manifest.sig'), signatures);
}

/** Both are asked for only once everything is known to be sound. */
interface Change {
  readonly signatures: (head: Head) => Promise<Buffer>;
  readonly nixSignatures: (release: Release) => NixSignatures;
}

const changeSignatures = (path: string, change: Change): Promise<void> =>
  alone(path, () => rewrite(path, change));

async function rewrite(path: string, change: Change): Promise<void> {
  if (isClassic(path)) {
    const head = await checkEverything(path, withoutVerifying);
    await writeWhole(join(dirname(path), 'manifest.sig'), await change.signatures(head));
    return;
  }
  await withBundleFile(path, async (file) => {
    const authenticated = await authenticateBundle(file, withoutVerifying);
    const bundle = await openBundle(file, authenticated);
    await checkPieces(bundle);
    const { authentic } = authenticated;
    await writeBundle(path, {
      manifestBytes: authentic.manifestBytes,
      signatureBytes: await change.signatures(authentic),
      release: { ...bundle, nixSignatures: change.nixSignatures(bundle) },
      sourceOf: (piece) => ({ path, position: bundle.positions.get(pieceName(piece)) as number }),
    });
  });
}

function addNixSignatures({ index, nixSignatures }: Release, key: SecretKey | undefined): NixSignatures {
  if (key === undefined) return nixSignatures;
  const block = NixSignatures.parse(new PathSigner(key).block(index), index);
  return NixSignatures.parse(mergeNixSignatures(nixSignatures, block), index);
}

async function addSignature(
  existing: Uint8Array,
  manifestBytes: Uint8Array,
  signer: Signer,
): Promise<Buffer> {
  const message = preAuthenticationEncoding(manifestBytes);
  const own =
    existing.length === 0 ? [] : parseSignatureFile(existing).filter((s) => s.keyName === signer.name);
  const key = parseTrustedKey(signer.publicText);
  if (own.some(({ bytes }) => key.verifies(message, bytes)))
    throw new NixmakerError('usage', `“${signer.name}” has already signed this bundle`);
  const signature = await signer.sign(message);
  // Our own line that does not fit belongs to another release: it would get the bundle refused.
  return Buffer.concat([withoutKey(existing, signer.name), Buffer.from(`${signer.name}:${signature}\n`)]);
}

function withoutKey(signatures: Uint8Array, name: string): Buffer {
  const lines = Buffer.from(signatures)
    .toString('latin1')
    .split(/(?<=\n)/);
  return Buffer.from(lines.filter((line) => !line.startsWith(`${name}:`)).join(''), 'latin1');
}

const linesOf = (signatures: Uint8Array): string[] =>
  Buffer.from(signatures).toString('latin1').split('\n').filter(Boolean);

const namesIn = (signatures: Uint8Array): string[] =>
  signatures.length === 0 ? [] : parseSignatureFile(signatures).map((s) => s.keyName);

async function readSignatures(path: string): Promise<Buffer> {
  const bytes = await readSmall(path, limits.signatureFileBytes);
  if (bytes === undefined) throw new NixmakerError('usage', `there is no ${path}`);
  try {
    parseSignatureFile(bytes);
  } catch (error) {
    throw namingFile(error, path);
  }
  return bytes;
}
