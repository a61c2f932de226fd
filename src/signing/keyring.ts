/** Keyrings in their envelope: signed by the previous one’s keys and by their own. */
import { NixmakerError } from '../core/errors.ts';
import { findInsufficient, type Keyring, parseKeyring, type Trust } from '../core/policy/keyring.ts';
import { addToEnvelope, openEnvelope, unsignedEnvelope } from './envelope.ts';
import { preAuthenticationEncoding } from './pae.ts';
import { trustSetOf } from './verify.ts';

const keyringType = 'application/vnd.nixmaker.keyring.v1+json';

declare const verifiedBrand: unique symbol;

export interface VerifiedKeyring {
  readonly [verifiedBrand]: true;
  readonly keyring: Keyring;
  /** The bytes that were signed. */
  readonly text: string;
}

/** What is signed. */
export const keyringMessage = (text: string): Buffer =>
  preAuthenticationEncoding(Buffer.from(text), keyringType);

/** An unsigned envelope. */
export const unsignedKeyring = (text: string): string => unsignedEnvelope(Buffer.from(text), keyringType);

/** @param signature base64 @throws NixmakerError `keyring-malformed` */
export function addKeyringSignature(envelope: string, name: string, signature: string): string {
  return addToEnvelope(envelope, { keyid: name, sig: signature }, 'keyring-malformed');
}

/** What a keyring claims; nothing is verified. @throws NixmakerError `keyring-malformed` */
export function peekKeyring(envelope: string): Omit<ReturnType<typeof readEnvelope>, 'signersAmong'> {
  return readEnvelope(envelope);
}

/** What a keyring says, and who of its own keys has signed it: for whoever takes it for the first one. @throws NixmakerError `keyring-malformed` */
export const openOwnKeyring = (envelope: string): ReturnType<typeof readEnvelope> => readEnvelope(envelope);

function readEnvelope(envelope: string) {
  const { text, signersAmong, claimedSigners } = openEnvelope(envelope, keyringType, 'keyring-malformed');
  return { keyring: parseKeyring(text), text, claimedSigners, signersAmong };
}

/** A keyring’s version is within this many bytes of the start of its file. */
export const keyringBeginning = 256;

const payloadAt = `{"payloadType":"${keyringType}","payload":"`;
const versionForm = /^\{"schema":1,"version":([1-9][0-9]{0,6}),/;

/**
 * The version a keyring claims, from its file’s first bytes alone; undefined if it isn’t a keyring. Threat: as
 * many as there is room for, each parsed only to find that it is useless.
 */
export function claimedVersion(beginning: string): number | undefined {
  if (!beginning.startsWith(payloadAt)) return undefined;
  const encoded = beginning.slice(payloadAt.length, keyringBeginning).replace(/".*$/s, '');
  const version = versionForm.exec(Buffer.from(encoded, 'base64').toString('latin1'))?.[1];
  return version === undefined ? undefined : Number(version);
}

export interface KeyringState {
  readonly host: string;
  readonly version: number;
  readonly trust: Trust;
  /** The least sequence of the keyring in force; 0 without one. */
  readonly leastSequence: number;
  /** RFC 3339. */
  readonly now: string;
}

/**
 * @throws NixmakerError `keyring-malformed`, `keyring-gap` if it is not the next, `keyring-untrusted` if too few have
 * signed, `wrong-host`, `keyring-lower`
 */
export function verifyKeyring(
  envelope: string,
  { host, version, trust, leastSequence, now }: KeyringState,
): VerifiedKeyring {
  if (claimedVersion(envelope) === version + 1) {
    // Before the rest is read: what none of them signed costs no more than its signatures.
    const { signersAmong } = openEnvelope(envelope, keyringType, 'keyring-malformed');
    if (signersAmong(trustSetOf(trust).keys).length === 0)
      throw new NixmakerError('keyring-untrusted', 'none of the currently trusted keys has signed it');
  }
  const { keyring, text, signersAmong } = readEnvelope(envelope);
  // Checked before the signatures: keys of versions in between are unknown here, and “untrusted” would mislead.
  if (keyring.version !== version + 1)
    throw new NixmakerError('keyring-gap', `it has version ${keyring.version}; this machine has ${version}`);
  requireEnough('the currently trusted keys', trust, { signersAmong, now });
  requireEnough('its own keys', keyring, { signersAmong, now });
  if (!keyring.hosts.includes(host))
    throw new NixmakerError('wrong-host', `the keyring is for ${keyring.hosts.join(', ')}`);
  const { minimumSequence = 0 } = keyring;
  if (minimumSequence < leastSequence)
    throw new NixmakerError(
      'keyring-lower',
      `its minimumSequence is ${minimumSequence}; that of the keyring in force is ${leastSequence}`,
    );
  return { keyring, text } as unknown as VerifiedKeyring;
}

function requireEnough(
  whose: string,
  trust: Trust,
  { signersAmong, now }: Pick<ReturnType<typeof openEnvelope>, 'signersAmong'> & { now: string },
): void {
  const { keys } = trustSetOf(trust);
  const lacking = findInsufficient(trust, { signedBy: signersAmong(keys), now });
  if (lacking !== undefined) throw new NixmakerError('keyring-untrusted', `for ${whose}: ${lacking.detail}`);
}
