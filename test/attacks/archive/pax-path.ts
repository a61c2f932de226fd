import { type Attack, assemble, pax } from '../../support/forge.ts';

export default {
  threat: 'a PAX header gives the next member another name: readers disagree',
  refusedAs: ['not-a-bundle'],
  make: ({ good }) => assemble({ ...good, before: pax('path', '../evil') }),
} satisfies Attack;
