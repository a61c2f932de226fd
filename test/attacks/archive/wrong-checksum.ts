import { type Attack, unchanged, withHeader } from '../../support/forge.ts';

export default {
  threat: 'readers that disagree on which headers count see different archives',
  refusedAs: ['bundle-malformed'],
  because: /the header of nar\/.* is not what is announced/,
  control: unchanged,
  make: (kit) => withHeader(kit, { checksum: 1 }),
} satisfies Attack;
