/**
 * What `ssh-keygen -Y sign -n nixmaker` makes (OpenSSH’s PROTOCOL.sshsig): which key, for what purpose, over which hash.
 * The purpose keeps a signature made for git, or for a file, from counting here.
 */
import { createHash } from 'node:crypto';
import { NixmakerError } from '../core/errors.ts';
import { decodeBase64OfAnyLength } from './base64.ts';
import type { SshKey } from './ssh-key.ts';
import { WireReader, wireString } from './ssh-wire.ts';

export const sshNamespace = 'nixmaker';
const magic = Buffer.from('SSHSIG');

export const isSshSignature = (bytes: Buffer): boolean => bytes.subarray(0, magic.length).equals(magic);

/** A signature includes the key; the longest kind has some 300. */
export const mostSshSignatureBytes = 1024;

class Unreadable extends Error {}

/** Whether the key has signed these bytes for nixmaker. Anything malformed is a “no”. */
export function verifySshSignature(key: SshKey, message: Uint8Array, signature: Buffer): boolean {
  try {
    const wire = new WireReader(signature, () => new Unreadable());
    if (!wire.bytes(magic.length).equals(magic) || wire.uint32() !== 1) return false;
    const publicKey = wire.string();
    const namespace = wire.text();
    const reserved = wire.string();
    const hash = wire.text();
    const value = wire.string();
    wire.end();
    if (!publicKey.equals(key.blob) || namespace !== sshNamespace || reserved.length > 0) return false;
    if (hash !== 'sha256' && hash !== 'sha512') return false;
    const digest = createHash(hash).update(message).digest();
    const fields = [namespace, reserved, hash, digest].map(wireString);
    return key.verifies(Buffer.concat([magic, ...fields]), value);
  } catch (error) {
    if (error instanceof Unreadable) return false;
    throw error;
  }
}

const armour = /^-----BEGIN SSH SIGNATURE-----\n([A-Za-z0-9+/=\n]+)\n-----END SSH SIGNATURE-----\n?$/;

/** @throws NixmakerError `signature-malformed` */
export function readArmoured(text: string): Buffer {
  const body = armour.exec(text.replaceAll('\r', ''))?.[1];
  const bytes = decodeBase64OfAnyLength((body ?? '').replaceAll('\n', ''), mostSshSignatureBytes);
  if (bytes === undefined || !isSshSignature(bytes))
    throw new NixmakerError('signature-malformed', 'it is not an SSH signature');
  return bytes;
}
