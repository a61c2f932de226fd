import { type Attack, unchanged } from '../../support/forge.ts';

export default {
  threat: 'more paths than the policy allows',
  refusedAs: ['over-limit'],
  because: /paths is 3; the policy allows 1/,
  onlyAtTarget: true,
  policy: { limits: { paths: 1 } },
  control: unchanged,
  controlPolicy: { limits: { paths: 3 } },
  make: ({ good }) => good.whole,
} satisfies Attack;
