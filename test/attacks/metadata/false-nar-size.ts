import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'a size that makes room checks pass',
  refusedAs: ['bundle-malformed'],
  make: (kit) => resigned(kit, { paths: kit.good.manifest.paths.map((p) => ({ ...p, narSize: 1 })) }),
} satisfies Attack;
