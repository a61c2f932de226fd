import { type Attack, withHeader } from '../../support/forge.ts';

export default {
  threat: 'a size that goes backwards, in base 256',
  refusedAs: ['bundle-malformed'],
  because: /the header of nar\/.* is not what is announced/,
  make: (kit) => withHeader(kit, { sizeField: Buffer.alloc(12, 0xff) }),
} satisfies Attack;
