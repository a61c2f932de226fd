import type { Attack } from '../../support/forge.ts';

export default {
  threat: 'a bundle of another host of the fleet',
  refusedAs: ['wrong-host'],
  onlyAtTarget: true,
  make: ({ other }) => other.whole,
} satisfies Attack;
