import { type Attack, assemble } from '../../support/forge.ts';

export default {
  threat: 'a bundle that nobody signed',
  refusedAs: ['signature-missing'],
  make: ({ good }) => assemble({ ...good, signatureBytes: Buffer.alloc(0) }),
} satisfies Attack;
