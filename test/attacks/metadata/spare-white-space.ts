import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'one manifest in two spellings',
  refusedAs: ['manifest-malformed'],
  make: (kit) => resigned(kit, ` ${kit.good.manifestBytes.toString()}`),
} satisfies Attack;
