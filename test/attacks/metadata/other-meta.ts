import { type Attack, assemble, bytesOf, unchanged, withBytes } from '../../support/forge.ts';

export default {
  threat: 'meta names another system than the manifest',
  refusedAs: ['bundle-malformed'],
  because: /meta does not match the manifest/,
  control: unchanged,
  make: ({ good, old }) => assemble({ ...good, members: withBytes(good, 'meta', bytesOf(old, 'meta')) }),
} satisfies Attack;
