import { type Attack, assemble, bytesOf, unchanged, withBytes } from '../../support/forge.ts';

export default {
  threat: 'the contents of another release of the same paths',
  refusedAs: ['bundle-malformed'],
  because: /contents: it belongs to another manifest/,
  control: unchanged,
  make: ({ good, twin }) =>
    assemble({ ...good, members: withBytes(good, 'contents', bytesOf(twin, 'contents')) }),
} satisfies Attack;
