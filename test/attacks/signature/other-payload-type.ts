import { type Attack, assemble } from '../../support/forge.ts';

export default {
  threat: 'a genuine signature over the same bytes, made for something else',
  refusedAs: ['signature-invalid'],
  make: ({ good, trusted }) => {
    const type = 'application/vnd.nixmaker.receipt.v1+json';
    const head = Buffer.from(`DSSEv1 ${type.length} ${type} ${good.manifestBytes.length} `);
    const signature = trusted.sign(Buffer.concat([head, good.manifestBytes]));
    return assemble({ ...good, signatureBytes: Buffer.from(`${trusted.name}:${signature}\n`) });
  },
} satisfies Attack;
