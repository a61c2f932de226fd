import { type Attack, unchanged, withHeader } from '../../support/forge.ts';

export default {
  threat: 'a link that later members are written through',
  refusedAs: ['bundle-malformed'],
  because: /the header of nar\/.* does not match the manifest/,
  control: unchanged,
  make: (kit) => withHeader(kit, { type: '2', link: '/etc' }),
} satisfies Attack;
