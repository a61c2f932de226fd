import { type Attack, withHeader } from '../../support/forge.ts';

export default {
  threat: 'a size that only some readers understand',
  refusedAs: ['bundle-malformed'],
  make: (kit) => {
    const size = Buffer.alloc(12);
    size[0] = 0x80;
    size.writeUInt32BE(kit.good.members.at(-1)?.bytes.length ?? 0, 8);
    return withHeader(kit, { sizeField: size });
  },
} satisfies Attack;
