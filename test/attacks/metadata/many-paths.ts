import type { Attack } from '../../support/forge.ts';

export default {
  threat: 'more paths than the policy allows',
  refusedAs: ['over-limit'],
  onlyAtTarget: true,
  policy: { limits: { paths: 1 } },
  make: ({ good }) => good.whole,
} satisfies Attack;
