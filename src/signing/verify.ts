/**
 * Verification: raw bytes and signatures in, a VerifiedManifest out. This is the only place that makes one, and
 * code that acts on a bundle takes nothing else. Bytes are verified before they are parsed.
 */
import { createHash } from 'node:crypto';
import { NixmakerError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { Trust } from '../core/policy/keyring.ts';
import { type Manifest, parseManifest } from '../core/release/manifest.ts';
import { decodeUtf8 } from '../core/utf8.ts';
import { preAuthenticationEncoding } from './pae.ts';
import { parseSignatureFile, type Signature } from './signature-file.ts';
import { parseTrustedKey, type TrustedKey } from './trusted-key.ts';

declare const verifiedBrand: unique symbol;

export interface VerifiedManifest {
  readonly [verifiedBrand]: true;
  readonly manifest: Manifest;
  /** sha256 of the manifest's bytes, hexadecimal. */
  readonly digest: string;
  /** Names of the trusted keys that signed, as the policy spells them. */
  readonly signedBy: readonly string[];
}

/** Trusted keys, and how many different ones must have signed. */
export interface TrustSet {
  readonly keys: readonly TrustedKey[];
  readonly threshold: number;
}

/**
 * Reads a policy’s keys. Two entries with the same material are one key under two names and are refused: with
 * them one person could meet a threshold of two.
 * @throws NixmakerError `key-malformed`
 */
export function makeTrustSet(texts: readonly string[], threshold: number): TrustSet {
  const keys = texts.map(parseTrustedKey);
  const byMaterial = new Map<string, string>();
  const names = new Set<string>();
  for (const { name, material } of keys) {
    const other = byMaterial.get(material);
    if (other !== undefined)
      throw new NixmakerError('key-malformed', `“${name}” and “${other}” are the same key`);
    if (names.has(name)) throw new NixmakerError('key-malformed', `two different keys are named “${name}”`);
    byMaterial.set(material, name);
    names.add(name);
  }
  return { keys, threshold };
}

/** The keys of a policy or a keyring. @throws NixmakerError `key-malformed` */
export const trustSetOf = ({ trustedKeys, threshold }: Pick<Trust, 'trustedKeys' | 'threshold'>): TrustSet =>
  makeTrustSet(
    trustedKeys.map((k) => k.key),
    threshold,
  );

export function manifestDigest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/**
 * @param manifestBytes the member `manifest.json`, exactly as received
 * @param signatureBytes the member `manifest.sig`
 * @throws NixmakerError with a `signature-…`, `manifest-…` or `schema-…` code
 */
export function verifyManifest(
  manifestBytes: Uint8Array,
  signatureBytes: Uint8Array,
  trust: TrustSet,
): VerifiedManifest {
  const signedBy = checkSignatures(manifestBytes, parseSignatureFile(signatureBytes), trust);
  const verified = { manifest: readManifest(manifestBytes), digest: manifestDigest(manifestBytes), signedBy };
  return verified as unknown as VerifiedManifest;
}

/** Decodes and parses manifest bytes without claiming that anyone signed them: for `inspect` and for the desk. */
export function readManifest(bytes: Uint8Array): Manifest {
  if (bytes.length > limits.manifestBytes) {
    throw new NixmakerError('manifest-malformed', `it exceeds ${limits.manifestBytes} bytes`);
  }
  const text = decodeUtf8(bytes);
  if (text === undefined) throw new NixmakerError('manifest-malformed', 'it is not UTF-8');
  return parseManifest(text);
}

/** At most eight: a signature file may have hundreds. */
function quoted(names: readonly string[]): string {
  const distinct = [...new Set(names)];
  const shown = distinct.slice(0, 8).map((name) => `“${name}”`);
  const more = distinct.length - shown.length;
  return [...shown, ...(more > 0 ? [`${more} more`] : [])].join(', ') || 'nobody';
}

/**
 * Counts key material, never names. A signature that names a trusted key but does not fit refuses the bundle even
 * if others suffice: it is either damage or an attempt. One that names an unknown key is skipped, so that a
 * bundle may also carry signatures for other machines.
 */
function checkSignatures(bytes: Uint8Array, signatures: readonly Signature[], trust: TrustSet): string[] {
  const signed = preAuthenticationEncoding(bytes);
  const accepted = new Map<string, string>();
  for (const signature of signatures) {
    const key = trust.keys.find((k) => k.name === signature.keyName);
    if (key === undefined) continue;
    if (!key.verifies(signed, signature.bytes)) {
      throw new NixmakerError('signature-invalid', `the signature by “${key.name}” does not match`);
    }
    accepted.set(key.material, key.name);
  }
  if (accepted.size === 0) {
    const names = quoted(signatures.map((s) => s.keyName));
    const trusted = quoted(trust.keys.map((k) => k.name));
    throw new NixmakerError('signature-unknown-key', `it is signed by ${names}; trusted here: ${trusted}`);
  }
  if (accepted.size < trust.threshold) {
    throw new NixmakerError(
      'signature-threshold',
      `${accepted.size} of ${trust.threshold} required trusted keys have signed`,
    );
  }
  return [...accepted.values()];
}
