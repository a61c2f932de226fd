/** A key whose signatures over a manifest count: a Nix key, or a person’s SSH key. */
import { verify as verifySignature } from 'node:crypto';
import { NixmakerError } from '../core/errors.ts';
import { isKeyName } from '../core/key-name.ts';
import { parsePublicKey } from './nix-key.ts';
import { looksLikeSshKey, parseSshKey } from './ssh-key.ts';
import { verifySshSignature } from './ssh-signature.ts';

export interface TrustedKey {
  readonly name: string;
  /** What makes two keys the same, whatever their names and kinds. */
  readonly material: string;
  readonly verifies: (message: Uint8Array, signature: Buffer) => boolean;
}

/** @param text `name:base64`, or `name:` and a line as in an SSH `.pub` file @throws NixmakerError `key-malformed` */
export function parseTrustedKey(text: string): TrustedKey {
  const colon = text.indexOf(':');
  const rest = text.slice(colon + 1);
  if (colon === -1 || !looksLikeSshKey(rest)) {
    const { name, material, key } = parsePublicKey(text);
    return {
      name,
      material,
      verifies: (message, signature) =>
        signature.length === 64 && verifySignature(null, message, key, signature),
    };
  }
  const name = text.slice(0, colon);
  if (!isKeyName(name)) throw new NixmakerError('key-malformed', `“${name}” is not a valid key name`);
  const key = parseSshKey(rest);
  return {
    name,
    material: key.material,
    verifies: (message, signature) => verifySshSignature(key, message, signature),
  };
}
