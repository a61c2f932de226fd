import type { Attack } from '../../support/forge.ts';

export default {
  threat: 'another system under the sequence that was taken',
  refusedAs: ['sequence-conflict'],
  onlyAtTarget: true,
  make: ({ twin }) => twin.whole,
} satisfies Attack;
