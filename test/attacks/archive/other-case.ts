import { type Attack, unchanged, withHeader } from '../../support/forge.ts';

export default {
  threat: 'a name that is another one on a file system without case',
  refusedAs: ['bundle-malformed'],
  because: /the header of meta does not match the manifest/,
  control: unchanged,
  make: (kit) => withHeader(kit, { name: 'META' }, 'meta'),
} satisfies Attack;
