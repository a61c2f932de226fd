import { type Attack, assemble, pax, unchanged } from '../../support/forge.ts';

export default {
  threat: 'a PAX header that fills the memory',
  refusedAs: ['not-a-bundle'],
  because: /it does not begin with a manifest/,
  control: unchanged,
  make: ({ good }) => assemble({ ...good, before: pax('comment', 'x'.repeat(64 * 1024 * 1024)) }),
} satisfies Attack;
