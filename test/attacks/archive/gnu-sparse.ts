import { type Attack, unchanged, withHeader } from '../../support/forge.ts';

export default {
  threat: 'a sparse member that expands to terabytes',
  refusedAs: ['bundle-malformed'],
  because: /the header of nar\/.* does not match the manifest/,
  control: unchanged,
  make: (kit) => withHeader(kit, { type: 'S', magic: 'ustar  ' }),
} satisfies Attack;
