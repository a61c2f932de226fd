import { type Attack, resigned, unchanged } from '../../support/forge.ts';

export default {
  threat: 'a format that is no longer read, with rules that no longer hold',
  refusedAs: ['schema-unsupported'],
  because: /has schema 1; this nixmaker reads 2/,
  control: unchanged,
  make: (kit) => resigned(kit, kit.good.manifestBytes.toString().replace('"schema":2', '"schema":1')),
} satisfies Attack;
