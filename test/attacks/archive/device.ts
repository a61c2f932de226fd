import { type Attack, withHeader } from '../../support/forge.ts';

export default {
  threat: 'a device node that reads or writes a disk',
  refusedAs: ['bundle-malformed'],
  because: /the header of nar\/.* is not what is announced/,
  make: (kit) => withHeader(kit, { type: '4' }),
} satisfies Attack;
