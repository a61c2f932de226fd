import { type Attack, resigned, unchanged } from '../../support/forge.ts';

export default {
  threat: 'a format that this reader does not know',
  refusedAs: ['schema-unsupported'],
  because: /has schema 3; this nixmaker reads 2/,
  control: unchanged,
  make: (kit) => resigned(kit, kit.good.manifestBytes.toString().replace('"schema":2', '"schema":3')),
} satisfies Attack;
