import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'a bundle that is bound to another machine',
  refusedAs: ['wrong-machine'],
  because: /bound to machine id f{32}/,
  onlyAtTarget: true,
  control: (kit) => resigned(kit, {}),
  make: (kit) => resigned(kit, { machineId: 'f'.repeat(32) }),
} satisfies Attack;
