import type { Attack } from '../../support/forge.ts';

export default {
  threat: 'a copy that was cut off passes for whole',
  refusedAs: ['bundle-truncated'],
  make: ({ good }) => good.whole.subarray(0, 512 * 3 + 200),
} satisfies Attack;
