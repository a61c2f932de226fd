import { type Attack, assemble, pax, unchanged } from '../../support/forge.ts';

export default {
  threat: 'a global PAX header changes all members',
  refusedAs: ['not-a-bundle'],
  because: /it does not begin with a manifest/,
  control: unchanged,
  make: ({ good }) => assemble({ ...good, before: pax('uid', '0', 'g') }),
} satisfies Attack;
