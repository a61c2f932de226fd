import { type Attack, withHeader } from '../../support/forge.ts';

export default {
  threat: 'a sparse member that unfolds to terabytes',
  refusedAs: ['bundle-malformed'],
  make: (kit) => withHeader(kit, { type: 'S', magic: 'ustar  ' }),
} satisfies Attack;
