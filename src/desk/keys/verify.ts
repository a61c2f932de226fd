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
import { parseTrustedKey } from '../../signing/trusted-key.ts';
import { makeTrustSet, verifyManifest } from '../../signing/verify.ts';
import { checkPieces } from './check-pieces.ts';
import { type Head, isClassic, readAnyHead, readClassicIndex, readRelease } from './read-release.ts';

interface Wanted {
  readonly keys: readonly string[];
  /** Keys of further builders, each of which must have signed too. */
  readonly rebuiltBy?: readonly string[];
  readonly host: string | undefined;
}

/**
 * @throws NixmakerError with the code a target would give for refusing it
 * @returns the manifest, and the names of those given keys that signed it
 */
export async function verifyBundleFile(
  path: string,
  { keys, rebuiltBy = [], host }: Wanted,
): Promise<{ manifest: Manifest; digest: string; signedBy: readonly string[] }> {
  // One set, so that a second builder is not the first under another name.
  const trust = makeTrustSet([...keys, ...rebuiltBy], 1);
  const authenticate = (head: Head) => verifyManifest(head.manifestBytes, head.signatureBytes, trust);
  const { manifest, digest, signedBy } = await checkEverything(path, authenticate);
  requireRebuilt(signedBy, { keys, rebuiltBy });
  if (host !== undefined && manifest.host !== host) {
    throw new NixmakerError('wrong-host', `the bundle is for ${manifest.host}, not ${host}`);
  }
  return { manifest, digest, signedBy };
}

/** A release does not depend on who signs it: whoever builds the same gets the same manifest, and signs it as their own result. */
function requireRebuilt(signedBy: readonly string[], { keys, rebuiltBy = [] }: Omit<Wanted, 'host'>): void {
  const namesOf = (texts: readonly string[]) => texts.map((text) => parseTrustedKey(text).name);
  const missing = namesOf(rebuiltBy).find((name) => !signedBy.includes(name));
  if (missing !== undefined)
    throw new NixmakerError('not-rebuilt', `it is signed by ${signedBy.join(', ')}, not by “${missing}”`);
  if (rebuiltBy.length > 0 && !namesOf(keys).some((name) => signedBy.includes(name)))
    throw new NixmakerError('signature-unknown-key', 'only the second builder has signed it');
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
