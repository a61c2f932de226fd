/** The table of hosts in its envelope, signed like a manifest. */

import { NixmakerError } from '../core/errors.ts';
import { type HostsTable, parseHosts } from '../core/install/hosts.ts';
import { findInsufficient, type Trust } from '../core/policy/keyring.ts';
import { addToEnvelope, openEnvelope, unsignedEnvelope } from './envelope.ts';
import { preAuthenticationEncoding } from './pae.ts';
import { trustSetOf } from './verify.ts';

const hostsType = 'application/vnd.nixmaker.hosts.v1+json';

declare const verifiedBrand: unique symbol;

export interface VerifiedHosts {
  readonly [verifiedBrand]: true;
  readonly table: HostsTable;
}

/** What is signed. */
export const hostsMessage = (text: string): Buffer => preAuthenticationEncoding(Buffer.from(text), hostsType);

/** An unsigned envelope. */
export const unsignedHosts = (text: string): string => unsignedEnvelope(Buffer.from(text), hostsType);

/** @param signature base64 @throws NixmakerError `hosts-malformed` */
export const addHostsSignature = (envelope: string, name: string, signature: string): string =>
  addToEnvelope(envelope, { keyid: name, sig: signature }, 'hosts-malformed');

/** What a table claims; nothing is verified. @throws NixmakerError `hosts-malformed` */
export function peekHosts(envelope: string): {
  readonly table: HostsTable;
  readonly text: string;
  readonly claimedSigners: readonly string[];
} {
  const { text, claimedSigners } = openEnvelope(envelope, hostsType, 'hosts-malformed');
  return { table: parseHosts(text), text, claimedSigners };
}

/**
 * Signatures first: what nobody has signed is not parsed.
 * @param now RFC 3339
 * @throws NixmakerError `hosts-malformed`, `hosts-untrusted`, `expired`
 */
export function verifyHosts(envelope: string, trust: Trust, now: string): VerifiedHosts {
  const { text, signersAmong } = openEnvelope(envelope, hostsType, 'hosts-malformed');
  const lacking = findInsufficient(trust, { signedBy: signersAmong(trustSetOf(trust).keys), now });
  if (lacking !== undefined) throw new NixmakerError('hosts-untrusted', lacking.detail);
  const table = parseHosts(text);
  if (table.expiresAt !== undefined && Date.parse(now) >= Date.parse(table.expiresAt))
    throw new NixmakerError('expired', `the table of hosts expired at ${table.expiresAt}; it is now ${now}`);
  return { table } as unknown as VerifiedHosts;
}
