import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'a downgrade that was signed for an earlier step, kept for later',
  refusedAs: ['sequence-older'],
  because: /it has sequence 50; this machine has taken 100/,
  onlyAtTarget: true,
  control: (kit) => resigned(kit, { sequence: 50, downgradeFrom: 100 }),
  make: (kit) => resigned(kit, { sequence: 50, downgradeFrom: 60 }),
} satisfies Attack;
