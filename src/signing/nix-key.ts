/**
 * Nix's Ed25519 keys in their text form, `name:base64` (Nix src/libutil/signature/local-keys.cc): a public key is
 * 32 bytes, a secret key is libsodium's 64, seed then public key.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { NixmakerError, printable } from '../core/errors.ts';
import { isKeyName } from '../core/key-name.ts';
import { decodeBase64 } from './base64.ts';

export interface PublicKey {
  readonly name: string;
  /** The 32 bytes, base64: what makes two keys the same key, whatever their names. */
  readonly material: string;
  readonly key: KeyObject;
}

export interface SecretKey {
  readonly name: string;
  readonly publicKey: PublicKey;
  /** Ed25519 over the bytes, 64 bytes in base64. */
  readonly sign: (bytes: Uint8Array) => string;
}

// DER prefixes of RFC 8410 for a raw 32-byte Ed25519 public key (SPKI) and seed (PKCS #8).
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');

/**
 * The y coordinates of the points of small order on Curve25519 in Edwards form (RFC 8032 §5.1; the list is that of
 * libsodium's ge25519_has_small_order), sign bit cleared. With such a "key" anyone can make valid signatures.
 */
const smallOrder: ReadonlySet<string> = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]);

function hasSmallOrder(raw: Buffer): boolean {
  const y = Buffer.from(raw);
  y.writeUInt8(y.readUInt8(31) & 0x7f, 31);
  return smallOrder.has(y.toString('hex'));
}

const nameHas = 'letters, digits, dots, dashes, plus signs and underscores';

function splitKey(text: string, bytes: number, kind: string): { name: string; raw: Buffer } {
  const trimmed = text.endsWith('\n') ? text.slice(0, -1) : text;
  const colon = trimmed.indexOf(':');
  const name = trimmed.slice(0, Math.max(colon, 0));
  if (colon > 0 && !isKeyName(name))
    throw new NixmakerError(
      'key-malformed',
      `the name of the ${kind} key, “${printable(name.slice(0, 128))}”, has characters other than ${nameHas}`,
    );
  if (colon <= 0) throw new NixmakerError('key-malformed', `a ${kind} key has the form name:base64`);
  const raw = decodeBase64(trimmed.slice(colon + 1), bytes);
  if (raw === undefined) {
    throw new NixmakerError('key-malformed', `the ${kind} key “${name}” is not ${bytes} bytes in base64`);
  }
  return { name, raw };
}

/** @throws NixmakerError `key-malformed` */
export function parsePublicKey(text: string): PublicKey {
  const { name, raw } = splitKey(text, 32, 'public');
  return { name, material: raw.toString('base64'), key: ed25519KeyOf(raw, `“${name}”`) };
}

/** @param what its name in the message @throws NixmakerError `key-malformed` for anything but 32 bytes of a sound key */
export function ed25519KeyOf(raw: Buffer, what: string): KeyObject {
  if (raw.length !== 32)
    throw new NixmakerError('key-malformed', `the public key ${what} does not have 32 bytes`);
  if (hasSmallOrder(raw)) {
    throw new NixmakerError(
      'key-malformed',
      `the public key ${what} is a point of small order: anyone could sign for it`,
    );
  }
  return createPublicKey({ key: Buffer.concat([spkiPrefix, raw]), format: 'der', type: 'spki' });
}

/**
 * The text form of a public key from elsewhere, such as an HSM. @param file SubjectPublicKeyInfo in PEM or DER
 * @throws NixmakerError `key-malformed`
 */
export function publicTextOf(name: string, file: Buffer): string {
  const isText = file.subarray(0, 5).toString('latin1') === '-----';
  let key: KeyObject;
  try {
    key = createPublicKey(isText ? file : { key: file, format: 'der', type: 'spki' });
  } catch (cause) {
    throw new NixmakerError('key-malformed', 'the file is not a public key in PEM or DER', { cause });
  }
  if (key.asymmetricKeyType !== 'ed25519')
    throw new NixmakerError(
      'key-malformed',
      `the file has a key of type ${key.asymmetricKeyType}; only Ed25519 can sign`,
    );
  const raw = key.export({ format: 'der', type: 'spki' }).subarray(spkiPrefix.length);
  const text = `${name}:${raw.toString('base64')}`;
  parsePublicKey(text);
  return text;
}

/** @throws NixmakerError `key-malformed`; the message never contains key material. */
export function parseSecretKey(text: string): SecretKey {
  const { name, raw } = splitKey(text, 64, 'secret');
  const key = createPrivateKey({
    key: Buffer.concat([pkcs8Prefix, raw.subarray(0, 32)]),
    format: 'der',
    type: 'pkcs8',
  });
  const derived = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(spkiPrefix.length);
  if (!derived.equals(raw.subarray(32))) {
    throw new NixmakerError('key-malformed', `the two halves of the secret key “${name}” do not match`);
  }
  return {
    name,
    publicKey: parsePublicKey(`${name}:${derived.toString('base64')}`),
    sign: (bytes) => sign(null, bytes, key).toString('base64'),
  };
}

/** Whether this is the key’s signature over the bytes. @param signature in base64; any other spelling does not count */
export function isSignedByKey({ key }: PublicKey, bytes: Uint8Array, signature: string): boolean {
  const raw = decodeBase64(signature, 64);
  return raw !== undefined && verify(null, bytes, key, raw);
}

export interface KeyPairText {
  readonly secret: string;
  readonly public: string;
}

/** A new key pair in Nix's text form, one line each, as `nix key generate-secret` writes it. */
export function generateKeyPair(name: string): KeyPairText {
  if (!isKeyName(name)) {
    throw new NixmakerError('key-malformed', `a key name may only have ${nameHas}`);
  }
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const seed = privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(pkcs8Prefix.length);
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(spkiPrefix.length);
  return {
    secret: `${name}:${Buffer.concat([seed, raw]).toString('base64')}`,
    public: `${name}:${raw.toString('base64')}`,
  };
}
