import { type Attack, unchanged, withHeader } from '../../support/forge.ts';

export default {
  threat: 'a pipe that a reader hangs on',
  refusedAs: ['bundle-malformed'],
  because: /the header of nar\/.* does not match the manifest/,
  control: unchanged,
  make: (kit) => withHeader(kit, { type: '6' }),
} satisfies Attack;
