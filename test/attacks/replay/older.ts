import type { Attack } from '../../support/forge.ts';

export default {
  threat: 'yesterday’s bundle with yesterday’s hole in it',
  refusedAs: ['sequence-older'],
  onlyAtTarget: true,
  make: ({ old }) => old.whole,
} satisfies Attack;
