import { type Attack, withHeader } from '../../support/forge.ts';

export default {
  threat: 'a member is written where its absolute name says',
  refusedAs: ['bundle-malformed'],
  make: (kit) => withHeader(kit, { name: '/etc/cron.d/x' }),
} satisfies Attack;
