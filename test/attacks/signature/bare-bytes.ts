import { type Attack, assemble } from '../../support/forge.ts';

export default {
  threat: 'a genuine signature over the bytes without their type',
  refusedAs: ['signature-invalid'],
  make: ({ good, trusted }) =>
    assemble({
      ...good,
      signatureBytes: Buffer.from(`${trusted.name}:${trusted.sign(good.manifestBytes)}\n`),
    }),
} satisfies Attack;
