import { type Attack, assemble, pax } from '../../support/forge.ts';

export default {
  threat: 'a global PAX header changes all members',
  refusedAs: ['not-a-bundle'],
  make: ({ good }) => assemble({ ...good, before: pax('uid', '0', 'g') }),
} satisfies Attack;
