import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'a size that no ustar header holds',
  refusedAs: ['manifest-malformed'],
  make: (kit) => {
    const members = kit.good.manifest.members.map((m, i, all) =>
      i === all.length - 1 ? { ...m, size: 8 * 2 ** 30 } : m,
    );
    return resigned(kit, { members });
  },
} satisfies Attack;
