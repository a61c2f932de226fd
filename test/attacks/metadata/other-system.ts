import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'a bundle for another processor',
  refusedAs: ['wrong-system'],
  onlyAtTarget: true,
  make: (kit) => resigned(kit, { system: 'riscv64-linux' }),
} satisfies Attack;
