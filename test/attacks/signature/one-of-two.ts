import type { Attack } from '../../support/forge.ts';

export default {
  threat: 'one signature where the policy wants two',
  refusedAs: ['signature-threshold'],
  onlyAtTarget: true,
  policy: { threshold: 2 },
  make: ({ good }) => good.whole,
} satisfies Attack;
