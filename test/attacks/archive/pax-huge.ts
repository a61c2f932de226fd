import { type Attack, assemble, pax } from '../../support/forge.ts';

export default {
  threat: 'a PAX header that fills the memory',
  refusedAs: ['not-a-bundle'],
  make: ({ good }) => assemble({ ...good, before: pax('comment', 'x'.repeat(64 * 1024 * 1024)) }),
} satisfies Attack;
