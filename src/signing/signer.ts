/** Whoever signs a manifest or a keyring: a key in a file, a person’s SSH key, or a command that knows where the key is. */
import type { SecretKey } from './nix-key.ts';
import { preAuthenticationEncoding } from './pae.ts';

export interface Signer {
  readonly name: string;
  readonly kind: 'nix' | 'ssh';
  /** As policies trust it. */
  readonly publicText: string;
  /** @param message encoded so that the bytes are bound to what they are (pae.ts) @returns the signature in base64 */
  readonly sign: (message: Buffer) => Promise<string>;
  /** For a Nix key that is here, and can sign thousands of paths too. */
  readonly key?: SecretKey;
}

export const signerWith = (key: SecretKey): Signer => ({
  name: key.name,
  kind: 'nix',
  publicText: `${key.name}:${key.publicKey.material}`,
  sign: async (message) => key.sign(message),
  key,
});

/** The line a signer adds to `manifest.sig`, with its newline. */
export const manifestLine = async (manifestBytes: Uint8Array, { name, sign }: Signer): Promise<string> =>
  `${name}:${await sign(preAuthenticationEncoding(manifestBytes))}\n`;
