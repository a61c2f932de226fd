import { type Attack, unchanged, withHeader } from '../../support/forge.ts';

export default {
  threat: 'an octal number too large for a reader',
  refusedAs: ['bundle-malformed'],
  because: /the header of nar\/.* does not match the manifest/,
  control: unchanged,
  make: (kit) => withHeader(kit, { sizeField: Buffer.from('777777777777') }),
} satisfies Attack;
