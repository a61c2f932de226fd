/** `verify` and `inspect`: everything a target would check in a bundle, except its policy. */
import { stat } from 'node:fs/promises';
import { checkClassicHeaders, readClassicHead } from '../../bundle/classic.ts';
import { withBundleFile } from '../../bundle/file.ts';
import type { Authentic } from '../../bundle/layout.ts';
import { authenticateBundle, openBundle } from '../../bundle/open.ts';
import type { Release } from '../../bundle/release.ts';
import { signedFileOf } from '../../bundle/write.ts';
import { NixmakerError, type ReasonCode } from '../../core/errors.ts';
import type { Manifest } from '../../core/release/manifest.ts';
import { parseSignatureFile } from '../../signing/signature-file.ts';
import { makeTrustSet, verifyManifest } from '../../signing/verify.ts';
import { checkPieces } from './check-pieces.ts';
import { type Head, isClassic, readAnyHead, readClassicIndex, readRelease } from './read-release.ts';

/**
 * @throws NixmakerError with the code a target would give for refusing it
 * @returns the manifest, and the names of those given keys that signed it
 */
export async function verifyBundleFile(
  path: string,
  { keys, host }: { keys: readonly string[]; host: string | undefined },
): Promise<{ manifest: Manifest; signedBy: readonly string[] }> {
  const trust = makeTrustSet(keys, 1);
  const authenticate = (head: Head) => verifyManifest(head.manifestBytes, head.signatureBytes, trust);
  const { manifest, signedBy } = await checkEverything(path, authenticate);
  if (host !== undefined && manifest.host !== host) {
    throw new NixmakerError('wrong-host', `the bundle is for ${manifest.host}, not ${host}`);
  }
  return { manifest, signedBy };
}

/**
 * Layout, index, and everything carried, in either format, once `authenticate` has approved the head. NARs are decompressed
 * and counted; what a delta gives can’t be checked without its base.
 * @throws NixmakerError a bundle’s own codes; `manifest-malformed` if the signed counts are wrong
 */
export async function checkEverything<A extends Authentic>(
  path: string,
  authenticate: (head: Head) => A,
): Promise<A> {
  if (isClassic(path)) return checkClassic(path, authenticate);
  return withBundleFile(path, async (file) => {
    const authenticated = await authenticateBundle(file, authenticate);
    await checkPieces(await openBundle(file, authenticated));
    return authenticated.authentic;
  });
}

async function checkClassic<A extends Authentic>(path: string, authenticate: (head: Head) => A): Promise<A> {
  const head = await readClassicHead(path);
  if (head === undefined)
    throw new NixmakerError('signature-missing', 'there is no manifest.json and manifest.sig beside it');
  const authentic = authenticate(head);
  const { tarball } = authentic.manifest;
  const found = await signedFileOf(path);
  if (tarball?.size !== found.size || tarball.sha256 !== found.sha256) {
    throw new NixmakerError('bundle-altered', 'the tarball does not match what was signed');
  }
  await readClassicIndex(path, authentic.manifest);
  await checkClassicHeaders(path);
  return authentic;
}

export interface Inspection {
  readonly manifest: Manifest;
  readonly manifestDigest: string;
  /** Names the signatures claim; nothing was checked. */
  readonly claimedSigners: readonly string[];
  readonly signatureProblem: ReasonCode | undefined;
  /** Of the file: the bundle, or a classic pair’s tarball. */
  readonly bytes: number;
}

/** Reads what a bundle’s manifest says. Nothing is verified. */
export async function inspectBundleFile(path: string): Promise<Inspection> {
  const { manifest, digest, signatureBytes } = await readAnyHead(path);
  const { size: bytes } = await stat(path);
  return { manifest, manifestDigest: digest, ...claimedSigners(signatureBytes), bytes };
}

/** How a release travels in one bundle. */
export interface Contents {
  /** Paths carried whole or as deltas, and those the target must have. */
  readonly whole: number;
  readonly differences: number;
  readonly leftOut: number;
  /** Bytes of all pieces. */
  readonly bytes: number;
  /** Names of the Nix keys that signed its paths; nothing was checked. */
  readonly nixSigners: readonly string[];
}

/** Undefined for a classic pair. @throws NixmakerError a bundle’s own codes: it may be incomplete */
export async function inspectContents(path: string): Promise<Contents | undefined> {
  return isClassic(path) ? undefined : contentsOf(await readRelease(path));
}

function contentsOf({ index, pieces, nixSignatures }: Release): Contents {
  const all = [...pieces.values()];
  const whole = all.filter((ofLine) => ofLine.some((p) => p.kind === 'whole')).length;
  const sizes = new Map(all.flat().map((piece) => [piece.digest, piece.size]));
  return {
    whole,
    differences: all.length - whole,
    leftOut: index.length - all.length,
    bytes: [...sizes.values()].reduce((sum, size) => sum + size, 0),
    nixSigners: nixSignatures.keyNames,
  };
}

export function claimedSigners(bytes: Uint8Array): Pick<Inspection, 'claimedSigners' | 'signatureProblem'> {
  try {
    return { claimedSigners: parseSignatureFile(bytes).map((s) => s.keyName), signatureProblem: undefined };
  } catch (error) {
    if (!(error instanceof NixmakerError)) throw error;
    return { claimedSigners: [], signatureProblem: error.code };
  }
}
