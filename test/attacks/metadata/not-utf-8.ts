import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'bytes that are no text',
  refusedAs: ['manifest-malformed'],
  because: /it is not UTF-8/,
  make: (kit) => resigned(kit, Buffer.concat([kit.good.manifestBytes, Buffer.from([0xff, 0x0a])])),
} satisfies Attack;
