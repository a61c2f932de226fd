import { type Attack, assemble, unchanged } from '../../support/forge.ts';

export default {
  threat: 'a signature of zeros, which lax verifiers accept for some keys',
  refusedAs: ['signature-invalid'],
  because: /the signature by “fleet-1” does not match/,
  control: unchanged,
  make: ({ good, trusted }) =>
    assemble({
      ...good,
      signatureBytes: Buffer.from(`${trusted.name}:${Buffer.alloc(64).toString('base64')}\n`),
    }),
} satisfies Attack;
