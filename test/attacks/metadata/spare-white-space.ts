import { type Attack, resigned, unchanged } from '../../support/forge.ts';

export default {
  threat: 'one manifest in two spellings',
  refusedAs: ['manifest-malformed'],
  because: /it is not in canonical form/,
  control: unchanged,
  make: (kit) => resigned(kit, ` ${kit.good.manifestBytes.toString()}`),
} satisfies Attack;
