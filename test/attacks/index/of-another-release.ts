import { type Attack, assemble, bytesOf, unchanged, withBytes } from '../../support/forge.ts';

export default {
  threat: 'the index of another release: other paths under a genuine manifest',
  refusedAs: ['bundle-altered'],
  because: /the index does not match what was signed/,
  control: unchanged,
  make: ({ good, twin }) => assemble({ ...good, members: withBytes(good, 'index', bytesOf(twin, 'index')) }),
} satisfies Attack;
