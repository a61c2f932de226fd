import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'a downgrade that was signed for an earlier step, kept for later',
  refusedAs: ['sequence-older'],
  onlyAtTarget: true,
  make: (kit) => resigned(kit, { sequence: 50, downgradeFrom: 60 }),
} satisfies Attack;
