/**
 * SSH public keys (RFC 4253 §6.6, RFC 8709 for Ed25519, RFC 5656 for ECDSA, OpenSSH’s PROTOCOL.u2f for FIDO tokens) and
 * how their signatures are checked. Kinds a person can hold in their hand today; RSA is not among them.
 */
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { NixmakerError } from '../core/errors.ts';
import { decodeBase64OfAnyLength } from './base64.ts';
import { ed25519KeyOf } from './nix-key.ts';
import { WireReader } from './ssh-wire.ts';

export interface SshKey {
  /** What makes two keys the same. A Nix key with the same 32 bytes is the same key. */
  readonly material: string;
  /** The key as SSH sends it. */
  readonly blob: Buffer;
  /** @param signature as in an SSH signature: type, then whatever the type requires */
  readonly verifies: (message: Buffer, signature: Buffer) => boolean;
}

const kinds = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'sk-ssh-ed25519@openssh.com',
  'sk-ecdsa-sha2-nistp256@openssh.com',
] as const;
type Kind = (typeof kinds)[number];

/** Whether it is the text form of an SSH key of any kind, supported or not: `type base64 [comment]`. */
export const looksLikeSshKey = (text: string): boolean => /^(sk-)?(ssh|ecdsa)-[a-z0-9@.-]+ /.test(text);

/** @param text a line as in a `.pub` file @throws NixmakerError `key-malformed` */
export function parseSshKey(text: string): SshKey {
  const [type = '', base64 = ''] = text.trim().split(/ +/);
  const kind = kinds.find((k) => k === type);
  if (kind === undefined)
    throw new NixmakerError(
      'key-malformed',
      `SSH keys of type “${type}” are not supported; supported are ${kinds.join(', ')}`,
    );
  const blob = decodeBase64OfAnyLength(base64, 1024);
  if (blob === undefined) throw malformed('it is not base64');
  return keyOfBlob(blob, kind);
}

function keyOfBlob(blob: Buffer, kind: Kind): SshKey {
  const wire = new WireReader(blob, malformed);
  if (wire.text() !== kind) throw malformed('its two key types differ');
  const isCurve25519 = kind.includes('ed25519');
  const point = isCurve25519 ? wire.string() : curvePoint(wire);
  const application = kind.startsWith('sk-') ? wire.string() : undefined;
  wire.end();
  const key = isCurve25519 ? ed25519KeyOf(point, 'SSH') : p256KeyOf(point);
  const check = isCurve25519 ? checkEd25519 : checkP256;
  const material = `${point.toString('base64')}${application === undefined ? '' : ` ${application.toString('base64')}`}`;
  return {
    material,
    blob,
    verifies: (message, signature) => {
      const parts = readSignature(signature, kind, application !== undefined);
      if (parts === undefined) return false;
      if (application === undefined || parts.token === undefined) return check(key, message, parts.value);
      // PROTOCOL.u2f: bit 0 of the flags says that somebody touched the token.
      if ((parts.token.readUInt8() & 1) === 0) return false;
      return check(key, Buffer.concat([sha256(application), parts.token, sha256(message)]), parts.value);
    },
  };
}

function curvePoint(wire: WireReader): Buffer {
  if (wire.text() !== 'nistp256') throw malformed('it is on a different curve than its type says');
  return wire.string();
}

// DER prefix of RFC 5480 for an uncompressed point on P-256.
const p256Prefix = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex');

function p256KeyOf(point: Buffer): KeyObject {
  if (point.length !== 65 || point[0] !== 4) throw malformed('it is not a point on P-256');
  try {
    return createPublicKey({ key: Buffer.concat([p256Prefix, point]), format: 'der', type: 'spki' });
  } catch (cause) {
    throw new NixmakerError('key-malformed', 'an SSH key is not a point on P-256', { cause });
  }
}

interface SignatureParts {
  readonly value: Buffer;
  /** For a token: the flags byte and the four counter bytes. */
  readonly token: Buffer | undefined;
}

class NotASignature extends Error {}

function readSignature(signature: Buffer, kind: Kind, hasToken: boolean): SignatureParts | undefined {
  try {
    const wire = new WireReader(signature, () => new NotASignature());
    if (wire.text() !== kind) return undefined;
    const value = wire.string();
    const token = hasToken ? wire.bytes(5) : undefined;
    wire.end();
    return { value, token };
  } catch (error) {
    if (error instanceof NotASignature) return undefined;
    throw error;
  }
}

const checkEd25519 = (key: KeyObject, message: Buffer, value: Buffer) =>
  value.length === 64 && verify(null, message, key, value);

/** RFC 5656 §3.1.2: r and s as numbers of any length. */
function checkP256(key: KeyObject, message: Buffer, value: Buffer): boolean {
  try {
    const wire = new WireReader(value, () => new NotASignature());
    const numbers = [wire.string(), wire.string()].map((n) => {
      const plain = n[0] === 0 ? n.subarray(1) : n;
      if (plain.length > 32) throw new NotASignature();
      return Buffer.concat([Buffer.alloc(32 - plain.length), plain]);
    });
    wire.end();
    return verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, Buffer.concat(numbers));
  } catch (error) {
    if (error instanceof NotASignature) return false;
    throw error;
  }
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest();

function malformed(detail: string): NixmakerError {
  return new NixmakerError('key-malformed', `malformed SSH key: ${detail}`);
}
