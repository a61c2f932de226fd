/**
 * DSSE's envelope (secure-systems-lab/dsse envelope.md, v1.0.2): one JSON file that holds bytes, what they are, and who has
 * signed them. For receipts, whose keys are Nix keys like any other.
 */
import { verify as verifySignature } from 'node:crypto';
import { z } from 'zod';
import { NixmakerError } from '../core/errors.ts';
import { decodeBase64 } from './base64.ts';
import type { PublicKey, SecretKey } from './nix-key.ts';
import { preAuthenticationEncoding } from './pae.ts';

const envelope = z.strictObject({
  payloadType: z.string().max(256),
  payload: z.string(),
  signatures: z
    .array(z.strictObject({ keyid: z.string().max(256), sig: z.string().max(256) }))
    .nonempty()
    .max(16),
});

export function sealEnvelope(payload: Uint8Array, type: string, key: SecretKey): string {
  const sig = key.sign(preAuthenticationEncoding(payload, type));
  const sealed = {
    payloadType: type,
    payload: Buffer.from(payload).toString('base64'),
    signatures: [{ keyid: key.name, sig }],
  };
  return `${JSON.stringify(sealed)}\n`;
}

export interface Envelope {
  readonly payload: Buffer;
  /** Whether this key has signed exactly these bytes as exactly this type. */
  readonly isSignedBy: (key: PublicKey) => boolean;
}

/** Takes an envelope apart; nothing of the payload is to be believed before `isSignedBy`. @throws NixmakerError `receipt-malformed` */
export function openEnvelope(text: string, type: string): Envelope {
  const { payloadType, payload: encoded, signatures } = parse(text);
  if (payloadType !== type) throw new NixmakerError('receipt-malformed', `it is of the type ${payloadType}`);
  const payload = Buffer.from(encoded, 'base64');
  if (payload.toString('base64') !== encoded)
    throw new NixmakerError('receipt-malformed', 'its payload is not base64');
  const signed = preAuthenticationEncoding(payload, type);
  return {
    payload,
    isSignedBy: ({ key }) =>
      signatures.some(({ sig }) => {
        const bytes = decodeBase64(sig, 64);
        return bytes !== undefined && verifySignature(null, signed, key, bytes);
      }),
  };
}

function parse(text: string): z.infer<typeof envelope> {
  try {
    return envelope.parse(JSON.parse(text));
  } catch (cause) {
    throw new NixmakerError('receipt-malformed', 'it is not an envelope', { cause });
  }
}
