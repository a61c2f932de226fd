/**
 * A checksum of a piece where it lies at the desk, for bits that turn on its disk: GMAC (NIST SP 800-38D) under a key that everybody knows,
 * in 128 bits. Against people it is worth nothing. It takes a sixth of the time of SHA-256, and a release that changed little consists of
 * pieces that only have to be looked through once more.
 */
import { createCipheriv, createSecretKey } from 'node:crypto';

// Bytes instead of an object would be looked at by Node.js for longer than the sum takes.
const key = createSecretKey(Buffer.alloc(16));
const nonce = Buffer.alloc(12);

export class PieceSum {
  readonly #cipher = createCipheriv('aes-128-gcm', key, nonce);

  add(bytes: Uint8Array): this {
    // Nothing is encrypted: all of it is “additional data”.
    this.#cipher.setAAD(bytes);
    return this;
  }

  /** Hexadecimal. */
  end(): string {
    this.#cipher.final();
    return this.#cipher.getAuthTag().toString('hex');
  }
}
