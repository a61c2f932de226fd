import { type Attack, unchanged, withHeader } from '../../support/forge.ts';

export default {
  threat: 'a sparse member that unfolds to terabytes',
  refusedAs: ['bundle-malformed'],
  because: /the header of nar\/.* is not what is announced/,
  control: unchanged,
  make: (kit) => withHeader(kit, { type: 'S', magic: 'ustar  ' }),
} satisfies Attack;
