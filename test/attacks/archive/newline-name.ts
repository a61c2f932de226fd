import { type Attack, withHeader } from '../../support/forge.ts';

export default {
  threat: 'a name that forges a log line',
  refusedAs: ['bundle-malformed'],
  because: /the header of nar\/.* is not what is announced/,
  make: (kit) => withHeader(kit, { name: 'meta\n<0>committed' }),
} satisfies Attack;
