import { type Attack, assemble } from '../../support/forge.ts';

export default {
  threat: 'a file of signatures that fills the memory',
  refusedAs: ['bundle-malformed'],
  because: /manifest\.sig has 66560 bytes/,
  make: ({ good }) => assemble({ ...good, signatureBytes: Buffer.alloc(65 * 1024, 0x0a) }),
} satisfies Attack;
