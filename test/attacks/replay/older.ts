import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'yesterday’s bundle, with yesterday’s hole in it',
  refusedAs: ['sequence-older'],
  because: /it has sequence 99; this machine has taken 100/,
  onlyAtTarget: true,
  control: (kit) => resigned(kit, { sequence: 101 }),
  make: (kit) => resigned(kit, { sequence: 99 }),
} satisfies Attack;
