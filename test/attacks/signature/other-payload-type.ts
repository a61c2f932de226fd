import { type Attack, assemble, type Kit } from '../../support/forge.ts';

function signedAs({ good, trusted }: Kit, what: string): Buffer {
  const type = `application/vnd.nixmaker.${what}+json`;
  const head = Buffer.from(`DSSEv1 ${type.length} ${type} ${good.manifestBytes.length} `);
  const signature = trusted.sign(Buffer.concat([head, good.manifestBytes]));
  return assemble({ ...good, signatureBytes: Buffer.from(`${trusted.name}:${signature}\n`) });
}

export default {
  threat: 'a genuine signature over the same bytes, made for something else',
  refusedAs: ['signature-invalid'],
  because: /the signature by “fleet-1” does not match/,
  control: (kit) => signedAs(kit, 'manifest'),
  make: (kit) => signedAs(kit, 'receipt.v1'),
} satisfies Attack;
