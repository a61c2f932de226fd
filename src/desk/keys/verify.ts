/** `verify` and `inspect`: everything a target would check of a bundle, short of its policy. */
import { readClassicHead } from '../../bundle/classic.ts';
import { checkAllNars } from '../../bundle/contents.ts';
import { withBundleFile } from '../../bundle/file.ts';
import { authenticateBundle, openBundle } from '../../bundle/open.ts';
import { memberOfFile } from '../../bundle/write.ts';
import type { Manifest } from '../../core/bundle/manifest.ts';
import { NixmakerError, type ReasonCode } from '../../core/errors.ts';
import { parseSignatureFile } from '../../signing/signature-file.ts';
import {
  makeTrustSet,
  manifestDigest,
  readManifest,
  type TrustSet,
  verifyManifest,
} from '../../signing/verify.ts';

export interface Head {
  readonly manifestBytes: Uint8Array;
  readonly signatureBytes: Uint8Array;
}

/** For `inspect` and `sign`, which need what a bundle says of itself, whoever wrote it. */
export function withoutVerifying<H extends Head>(head: H): H & { readonly manifest: Manifest } {
  return { ...head, manifest: readManifest(head.manifestBytes) };
}

/**
 * @throws NixmakerError with the code a target would refuse the bundle with
 * @returns the manifest, and the names of the given keys that signed it
 */
export async function verifyBundleFile(
  path: string,
  { keys, host }: { keys: readonly string[]; host: string | undefined },
): Promise<{ manifest: Manifest; signedBy: readonly string[] }> {
  const trust = makeTrustSet(keys, 1);
  const authenticate = (head: Head) => authenticateWith(head, trust);
  const verified = await checkEverything(path, authenticate);
  if (host !== undefined && verified.manifest.host !== host) {
    throw new NixmakerError('wrong-host', `the bundle is for ${verified.manifest.host}, not ${host}`);
  }
  return verified;
}

function authenticateWith(head: Head, trust: TrustSet): { manifest: Manifest; signedBy: readonly string[] } {
  const { manifest, signedBy } = verifyManifest(head.manifestBytes, head.signatureBytes, trust);
  return { manifest, signedBy };
}

/** Layout, digests and narinfos of either format, after `authenticate` has had its say on the head. */
export async function checkEverything<A extends { readonly manifest: Manifest }>(
  path: string,
  authenticate: (head: Head) => A,
): Promise<A> {
  if (path.endsWith('.tar.gz')) return checkClassic(path, authenticate);
  return withBundleFile(path, async (file) => {
    const authenticated = await authenticateBundle(file, authenticate);
    await checkAllNars(await openBundle(file, authenticated));
    return authenticated.authentic;
  });
}

async function checkClassic<A extends { readonly manifest: Manifest }>(
  path: string,
  authenticate: (head: Head) => A,
): Promise<A> {
  const head = await readClassicHead(path);
  if (head === undefined)
    throw new NixmakerError('signature-missing', 'manifest.json and manifest.sig are not beside it');
  const authentic = authenticate(head);
  const announced = authentic.manifest.members[0];
  const found = await memberOfFile('tarball', path);
  if (announced?.size !== found.size || announced.sha256 !== found.sha256) {
    throw new NixmakerError('bundle-altered', 'the tarball is not what was signed');
  }
  return authentic;
}

export interface Inspection {
  readonly manifest: Manifest;
  readonly manifestDigest: string;
  /** Names the signatures claim; nothing was checked. */
  readonly claimedSigners: readonly string[];
  readonly signatureProblem: ReasonCode | undefined;
}

/** Reads what a bundle says of itself. Nothing of it is verified. */
export async function inspectBundleFile(path: string): Promise<Inspection> {
  const head = await readAnyHead(path);
  return {
    manifest: readManifest(head.manifestBytes),
    manifestDigest: manifestDigest(head.manifestBytes),
    ...claimedSigners(head.signatureBytes),
  };
}

async function readAnyHead(path: string): Promise<Head> {
  if (path.endsWith('.tar.gz')) {
    const head = await readClassicHead(path);
    if (head === undefined)
      throw new NixmakerError('not-a-bundle', 'manifest.json and manifest.sig are not beside it');
    return head;
  }
  return withBundleFile(path, async (file) => (await authenticateBundle(file, withoutVerifying)).authentic);
}

export function claimedSigners(bytes: Uint8Array): Pick<Inspection, 'claimedSigners' | 'signatureProblem'> {
  try {
    return { claimedSigners: parseSignatureFile(bytes).map((s) => s.keyName), signatureProblem: undefined };
  } catch (error) {
    if (!(error instanceof NixmakerError)) throw error;
    return { claimedSigners: [], signatureProblem: error.code };
  }
}
