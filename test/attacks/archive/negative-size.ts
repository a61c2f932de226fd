import { type Attack, unchanged, withHeader } from '../../support/forge.ts';

export default {
  threat: 'a size that goes backwards, in base 256',
  refusedAs: ['bundle-malformed'],
  because: /the header of nar\/.* does not match the manifest/,
  control: unchanged,
  make: (kit) => withHeader(kit, { sizeField: Buffer.alloc(12, 0xff) }),
} satisfies Attack;
