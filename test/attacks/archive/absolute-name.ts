import { type Attack, unchanged, withHeader } from '../../support/forge.ts';

export default {
  threat: 'a member is written to its absolute path',
  refusedAs: ['bundle-malformed'],
  because: /the header of nar\/.* does not match the manifest/,
  control: unchanged,
  make: (kit) => withHeader(kit, { name: '/etc/cron.d/x' }),
} satisfies Attack;
