import { type Attack, assemble, pax, unchanged } from '../../support/forge.ts';

export default {
  threat: 'a PAX header gives the next member another size: readers disagree',
  refusedAs: ['bundle-malformed'],
  because: /the manifest is not followed by manifest\.sig/,
  control: unchanged,
  make: ({ good }) => assemble({ ...good, between: pax('size', '1') }),
} satisfies Attack;
