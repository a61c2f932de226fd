import { type Attack, unchanged, withHeader } from '../../support/forge.ts';

export default {
  threat: 'a device node that reads or writes a disk',
  refusedAs: ['bundle-malformed'],
  because: /the header of nar\/.* does not match the manifest/,
  control: unchanged,
  make: (kit) => withHeader(kit, { type: '4' }),
} satisfies Attack;
