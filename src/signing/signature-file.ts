/** `manifest.sig`: one signature per line, `keyname:base64` of 64 bytes or of an SSH signature (docs/format.md §3). */
import { NixmakerError } from '../core/errors.ts';
import { isKeyName } from '../core/key-name.ts';
import { limits } from '../core/limits.ts';
import { decodeBase64OfAnyLength } from './base64.ts';
import type { SecretKey } from './nix-key.ts';
import { preAuthenticationEncoding } from './pae.ts';
import { isSshSignature, mostSshSignatureBytes } from './ssh-signature.ts';

export interface Signature {
  readonly keyName: string;
  readonly bytes: Buffer;
}

/** @throws NixmakerError `signature-missing` for an empty file, `signature-malformed` for anything else malformed. */
export function parseSignatureFile(bytes: Uint8Array): Signature[] {
  if (bytes.length === 0) throw new NixmakerError('signature-missing', 'manifest.sig is empty');
  if (bytes.length > limits.signatureFileBytes) {
    throw new NixmakerError('signature-malformed', `manifest.sig exceeds ${limits.signatureFileBytes} bytes`);
  }
  const text = Buffer.from(bytes).toString('latin1');
  if (!text.endsWith('\n'))
    throw new NixmakerError('signature-malformed', 'manifest.sig does not end with a newline');
  return withoutRepeats(text.slice(0, -1).split('\n').map(parseLine));
}

/**
 * Threat: one genuine line, repeated until the file is full, would be verified hundreds of times. Each signature is verified once, and
 * only so many per key: a token’s signature differs each time, but nobody has a reason to make that many.
 * @throws NixmakerError `signature-malformed`
 */
function withoutRepeats(signatures: readonly Signature[]): Signature[] {
  const byKey = new Map<string, Map<string, Signature>>();
  for (const signature of signatures) {
    const { keyName, bytes } = signature;
    const ofKey = byKey.get(keyName) ?? new Map<string, Signature>();
    byKey.set(keyName, ofKey.set(bytes.toString('latin1'), signature));
    if (ofKey.size > limits.signaturesOfAKey)
      throw new NixmakerError(
        'signature-malformed',
        `manifest.sig has more than ${limits.signaturesOfAKey} signatures by “${keyName}”`,
      );
  }
  return [...byKey.values()].flatMap((ofKey) => [...ofKey.values()]);
}

function parseLine(line: string, index: number): Signature {
  const colon = line.indexOf(':');
  const keyName = line.slice(0, Math.max(colon, 0));
  const bytes = decodeBase64OfAnyLength(line.slice(colon + 1), mostSshSignatureBytes);
  if (!isKeyName(keyName) || bytes === undefined || (bytes.length !== 64 && !isSshSignature(bytes))) {
    throw new NixmakerError('signature-malformed', `line ${index + 1} of manifest.sig is not keyname:base64`);
  }
  return { keyName, bytes };
}

/** The line a key adds to `manifest.sig`, with its newline. */
export function signManifest(manifestBytes: Uint8Array, key: SecretKey): string {
  return `${key.name}:${key.sign(preAuthenticationEncoding(manifestBytes))}\n`;
}
