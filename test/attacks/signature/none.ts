import { type Attack, assemble, unchanged } from '../../support/forge.ts';

export default {
  threat: 'a bundle that nobody signed',
  refusedAs: ['signature-missing'],
  because: /manifest\.sig is empty/,
  control: unchanged,
  make: ({ good }) => assemble({ ...good, signatureBytes: Buffer.alloc(0) }),
} satisfies Attack;
