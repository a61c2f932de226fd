import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'a sequence so high that no honest bundle is ever newer',
  refusedAs: ['sequence-jump'],
  because: /the policy allows at most 1000000 above 100/,
  onlyAtTarget: true,
  policy: { limits: { sequenceJump: 1_000_000 } },
  control: (kit) => resigned(kit, { sequence: 1_000_100 }),
  make: (kit) => resigned(kit, { sequence: Number.MAX_SAFE_INTEGER }),
} satisfies Attack;
