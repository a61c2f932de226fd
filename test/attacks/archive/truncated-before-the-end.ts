import { type Attack, unchanged } from '../../support/forge.ts';

export default {
  threat: 'a copy that was cut off passes for whole',
  refusedAs: ['bundle-truncated'],
  because: /the file ends at byte \d+|[\d.]+ \w+ of [\d.]+ \w+ are here/,
  control: unchanged,
  make: ({ good }) => good.whole.subarray(0, good.whole.length - 1024),
} satisfies Attack;
