import { type Attack, assemble, unchanged } from '../../support/forge.ts';

export default {
  threat: 'an empty line that counts as a signature',
  refusedAs: ['signature-malformed'],
  because: /line 1 of manifest\.sig is not keyname:base64/,
  control: unchanged,
  make: ({ good }) => assemble({ ...good, signatureBytes: Buffer.from('\n') }),
} satisfies Attack;
