import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'a bundle for another processor',
  refusedAs: ['wrong-system'],
  because: /the bundle is for riscv64-linux/,
  onlyAtTarget: true,
  control: (kit) => resigned(kit, { system: kit.running.manifest.system }),
  make: (kit) => resigned(kit, { system: 'riscv64-linux' }),
} satisfies Attack;
