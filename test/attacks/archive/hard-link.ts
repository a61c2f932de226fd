import { type Attack, unchanged, withHeader } from '../../support/forge.ts';

export default {
  threat: 'a link to a file of the target that is then read or overwritten',
  refusedAs: ['bundle-malformed'],
  because: /the header of nar\/.* does not match the manifest/,
  control: unchanged,
  make: (kit) => withHeader(kit, { type: '1', link: '/etc/shadow' }),
} satisfies Attack;
