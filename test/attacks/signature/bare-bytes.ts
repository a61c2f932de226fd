import { type Attack, assemble, unchanged } from '../../support/forge.ts';

export default {
  threat: 'a genuine signature over the bytes without their type',
  refusedAs: ['signature-invalid'],
  because: /the signature by “fleet-1” does not match/,
  control: unchanged,
  make: ({ good, trusted }) =>
    assemble({
      ...good,
      signatureBytes: Buffer.from(`${trusted.name}:${trusted.sign(good.manifestBytes)}\n`),
    }),
} satisfies Attack;
