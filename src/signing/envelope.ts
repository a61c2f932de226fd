/**
 * DSSE's envelope (secure-systems-lab/dsse envelope.md, v1.0.2): one JSON file that holds bytes, what they are, and who signed
 * them. For receipts, whose keys are ordinary Nix keys, and for keyrings.
 */
import { type KeyObject, verify as verifySignature } from 'node:crypto';
import { NixmakerError, type ReasonCode } from '../core/errors.ts';
import { decodeUtf8 } from '../core/utf8.ts';
import * as z from '../core/zod.ts';
import { decodeBase64, decodeBase64OfAnyLength } from './base64.ts';
import type { PublicKey, SecretKey } from './nix-key.ts';
import { preAuthenticationEncoding } from './pae.ts';
import type { TrustedKey } from './trusted-key.ts';

const envelope = z.strictObject({
  payloadType: z.string().check(z.maxLength(256)),
  payload: z.string(),
  signatures: z
    .array(
      z.strictObject({ keyid: z.string().check(z.maxLength(256)), sig: z.string().check(z.maxLength(2048)) }),
    )
    .check(z.maxLength(64)),
});

type Signature = z.infer<typeof envelope>['signatures'][number];

/** The same signature again adds nothing, and would be verified again. */
function withoutRepeats(signatures: readonly Signature[]): Signature[] {
  return [...new Map(signatures.map((s) => [`${s.keyid} ${s.sig}`, s])).values()];
}

export function signEnvelope(payload: Uint8Array, type: string, key: SecretKey): string {
  const sig = key.sign(preAuthenticationEncoding(payload, type));
  const envelope = {
    payloadType: type,
    payload: Buffer.from(payload).toString('base64'),
    signatures: [{ keyid: key.name, sig }],
  };
  return `${JSON.stringify(envelope)}\n`;
}

/** An unsigned envelope. */
export function unsignedEnvelope(payload: Uint8Array, type: string): string {
  const empty = { payloadType: type, payload: Buffer.from(payload).toString('base64'), signatures: [] };
  return `${JSON.stringify(empty)}\n`;
}

/** The envelope with one more signature; it replaces one by the same key. */
export function addToEnvelope(
  text: string,
  signature: { readonly keyid: string; readonly sig: string },
  code: ReasonCode,
): string {
  const { signatures, ...rest } = parse(text, code);
  const others = signatures.filter(({ keyid }) => keyid !== signature.keyid);
  return `${JSON.stringify({ ...rest, signatures: [...others, signature] })}\n`;
}

export interface Envelope {
  readonly payload: Buffer;
  /** The same as text, in the one spelling these bytes give. */
  readonly text: string;
  /** Whether this key has signed exactly these bytes as exactly this type. */
  readonly isSignedBy: (key: PublicKey) => boolean;
  /** Names of the keys that have signed it, each under its own name. */
  readonly signersAmong: (keys: readonly TrustedKey[]) => string[];
  readonly claimedSigners: readonly string[];
}

/**
 * Takes an envelope apart; trust nothing in the payload before checking its signatures.
 * @throws NixmakerError with the code, if it is malformed
 */
export function openEnvelope(text: string, type: string, code: ReasonCode = 'receipt-malformed'): Envelope {
  const { payloadType, payload: encoded, signatures } = parse(text, code);
  if (payloadType !== type) throw new NixmakerError(code, `its type is ${payloadType}`);
  const payload = Buffer.from(encoded, 'base64');
  if (payload.toString('base64') !== encoded) throw new NixmakerError(code, 'its payload is not base64');
  const decoded = decodeUtf8(payload);
  if (decoded === undefined) throw new NixmakerError(code, 'its payload is not UTF-8');
  const signed = preAuthenticationEncoding(payload, type);
  const verify = (key: KeyObject) =>
    signatures.some(({ sig }) => {
      const bytes = decodeBase64(sig, 64);
      return bytes !== undefined && verifySignature(null, signed, key, bytes);
    });
  /** A signature takes longer than all the rest, and is asked for more than once. */
  const verified = new Map<KeyObject, boolean>();
  return {
    payload,
    text: decoded,
    isSignedBy: ({ key }) => {
      const known = verified.get(key) ?? verify(key);
      verified.set(key, known);
      return known;
    },
    signersAmong: (keys) =>
      keys
        .filter((key) =>
          signatures.some(({ keyid, sig }) => {
            const bytes = keyid === key.name ? decodeBase64OfAnyLength(sig, 1024) : undefined;
            return bytes !== undefined && key.verifies(signed, bytes);
          }),
        )
        .map((key) => key.name),
    claimedSigners: signatures.map(({ keyid }) => keyid),
  };
}

function parse(text: string, code: ReasonCode): z.infer<typeof envelope> {
  try {
    const { signatures, ...rest } = envelope.parse(JSON.parse(text));
    return { ...rest, signatures: withoutRepeats(signatures) };
  } catch (cause) {
    throw new NixmakerError(code, 'it is not an envelope', { cause });
  }
}
