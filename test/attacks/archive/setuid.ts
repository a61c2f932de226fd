import { type Attack, unchanged, withHeader } from '../../support/forge.ts';

export default {
  threat: 'a member that would be unpacked with setuid',
  refusedAs: ['bundle-malformed'],
  because: /the header of nar\/.* does not match the manifest/,
  control: unchanged,
  make: (kit) => withHeader(kit, { mode: 0o4755 }),
} satisfies Attack;
