import { type Attack, unchanged, withHeader } from '../../support/forge.ts';

export default {
  threat: 'a name that means another file on a case-insensitive file system',
  refusedAs: ['bundle-malformed'],
  because: /the header of meta does not match the manifest/,
  control: unchanged,
  make: (kit) => withHeader(kit, { name: 'META' }, 'meta'),
} satisfies Attack;
