import { type Attack, withHeader } from '../../support/forge.ts';

export default {
  threat: 'readers that disagree on which headers count see different archives',
  refusedAs: ['bundle-malformed'],
  make: (kit) => withHeader(kit, { checksum: 1 }),
} satisfies Attack;
