import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'a size at which 32 bits overflow',
  refusedAs: ['bundle-truncated'],
  make: (kit) => {
    const size = 2 ** 32;
    const last = kit.good.members.length - 1;
    const listed = kit.good.manifest.members.map((m, i) => (i === last ? { ...m, size } : m));
    const change = { sizeField: Buffer.from(`${size.toString(8)}\0`) };
    const members = kit.good.members.map((p, i) => (i === last ? { ...p, change } : p));
    return resigned(kit, { members: listed }, { members });
  },
} satisfies Attack;
