import { type Attack, assemble, pax, unchanged } from '../../support/forge.ts';

export default {
  threat: 'a PAX header gives the next member another name: readers disagree',
  refusedAs: ['not-a-bundle'],
  because: /it does not begin with a manifest/,
  control: unchanged,
  make: ({ good }) => assemble({ ...good, before: pax('path', '../evil') }),
} satisfies Attack;
