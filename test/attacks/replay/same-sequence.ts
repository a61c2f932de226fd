import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'another system under a sequence already taken',
  refusedAs: ['sequence-conflict'],
  because: /sequence 100 was already taken with different contents/,
  onlyAtTarget: true,
  control: (kit) => resigned(kit, { sequence: 101 }),
  make: (kit) => resigned(kit, { sequence: 100 }),
} satisfies Attack;
