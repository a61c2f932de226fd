import { type Attack, assemble } from '../../support/forge.ts';

export default {
  threat: 'an empty line that counts as a signature',
  refusedAs: ['signature-malformed'],
  make: ({ good }) => assemble({ ...good, signatureBytes: Buffer.from('\n') }),
} satisfies Attack;
