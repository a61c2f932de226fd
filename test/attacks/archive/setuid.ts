import { type Attack, withHeader } from '../../support/forge.ts';

export default {
  threat: 'a member that would be unpacked with setuid',
  refusedAs: ['bundle-malformed'],
  make: (kit) => withHeader(kit, { mode: 0o4755 }),
} satisfies Attack;
