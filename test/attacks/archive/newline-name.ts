import { type Attack, unchanged, withHeader } from '../../support/forge.ts';

export default {
  threat: 'a name that forges a log line',
  refusedAs: ['bundle-malformed'],
  because: /the header of nar\/.* does not match the manifest/,
  control: unchanged,
  make: (kit) => withHeader(kit, { name: 'meta\n<0>committed' }),
} satisfies Attack;
