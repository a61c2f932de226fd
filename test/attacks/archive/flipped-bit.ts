import { type Attack, unchanged } from '../../support/forge.ts';

export default {
  threat: 'damage, accidental or deliberate, in the middle of a NAR',
  refusedAs: ['bundle-altered'],
  because: /^nar\/.* is damaged$/,
  control: unchanged,
  make: ({ good }) => {
    const bytes = Buffer.from(good.whole);
    const at = bytes.lastIndexOf(Buffer.from('28b52ffd', 'hex')) + 30;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    return bytes;
  },
} satisfies Attack;
