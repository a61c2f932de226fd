import { type Attack, header, unchanged } from '../../support/forge.ts';

export default {
  threat: 'an index that claims to be 8 GiB: memory runs out before it is compared',
  refusedAs: ['bundle-malformed'],
  because: /index has 8589934591 bytes; the limit is/,
  control: unchanged,
  make: ({ good }) => {
    const at = good.whole.indexOf('index\0');
    return Buffer.concat([
      good.whole.subarray(0, at),
      header('index', 8 * 2 ** 30 - 1),
      good.whole.subarray(at + 512),
    ]);
  },
} satisfies Attack;
