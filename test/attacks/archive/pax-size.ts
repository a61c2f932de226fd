import { type Attack, assemble, pax, unchanged } from '../../support/forge.ts';

export default {
  threat: 'a PAX header gives the next member another size: readers disagree',
  refusedAs: ['bundle-malformed'],
  because: /manifest\.sig does not follow the manifest/,
  control: unchanged,
  make: ({ good }) => assemble({ ...good, between: pax('size', '1') }),
} satisfies Attack;
