import { type Attack, unchanged, withHeader } from '../../support/forge.ts';

export default {
  threat: 'readers that disagree on which headers count see different archives',
  refusedAs: ['bundle-malformed'],
  because: /the header of nar\/.* does not match the manifest/,
  control: unchanged,
  make: (kit) => withHeader(kit, { checksum: 1 }),
} satisfies Attack;
