import { type Attack, withHeader } from '../../support/forge.ts';

export default {
  threat: 'a device node that reads or writes a disk',
  refusedAs: ['bundle-malformed'],
  make: (kit) => withHeader(kit, { type: '4' }),
} satisfies Attack;
