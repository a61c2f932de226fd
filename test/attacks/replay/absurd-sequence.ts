import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'a sequence after which no honest bundle is ever newer',
  refusedAs: ['sequence-jump'],
  onlyAtTarget: true,
  policy: { limits: { sequenceJump: 1_000_000 } },
  make: (kit) => resigned(kit, { sequence: Number.MAX_SAFE_INTEGER }),
} satisfies Attack;
