import { type Attack, unchanged } from '../../support/forge.ts';

export default {
  threat: 'a copy that was cut off passes for whole',
  refusedAs: ['bundle-truncated'],
  because: /the file ends at byte 1736|1\.7 KiB of [\d.]+ KiB are here/,
  control: unchanged,
  make: ({ good }) => good.whole.subarray(0, 512 * 3 + 200),
} satisfies Attack;
