import type { Attack } from '../../support/forge.ts';

export default {
  threat: 'a copy that was cut off passes for whole',
  refusedAs: ['bundle-truncated'],
  make: ({ good }) => good.whole.subarray(0, good.whole.length - 1024),
} satisfies Attack;
