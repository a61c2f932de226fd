import { type Attack, assemble } from '../../support/forge.ts';

export default {
  threat: 'a signature of zeros, which lax verifiers take for some keys',
  refusedAs: ['signature-invalid'],
  make: ({ good, trusted }) =>
    assemble({
      ...good,
      signatureBytes: Buffer.from(`${trusted.name}:${Buffer.alloc(64).toString('base64')}\n`),
    }),
} satisfies Attack;
