import { type Attack, unchanged, withHeader } from '../../support/forge.ts';

export default {
  threat: 'a member that would be unpacked as somebody’s',
  refusedAs: ['bundle-malformed'],
  because: /the header of nar\/.* does not match the manifest/,
  control: unchanged,
  make: (kit) => withHeader(kit, { uid: 1000 }),
} satisfies Attack;
