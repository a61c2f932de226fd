import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'a bundle that is bound to another machine',
  refusedAs: ['wrong-machine'],
  onlyAtTarget: true,
  make: (kit) => resigned(kit, { machineId: 'f'.repeat(32) }),
} satisfies Attack;
