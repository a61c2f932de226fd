import { type Attack, header, unchanged } from '../../support/forge.ts';

export default {
  threat: 'contents that claim to be 8 GiB: memory runs out',
  refusedAs: ['bundle-malformed'],
  because: /contents has 8589934591 bytes; the limit is/,
  control: unchanged,
  make: ({ good }) => {
    const at = good.whole.indexOf('contents\0');
    return Buffer.concat([
      good.whole.subarray(0, at),
      header('contents', 8 * 2 ** 30 - 1),
      good.whole.subarray(at + 512),
    ]);
  },
} satisfies Attack;
