import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'a format that this reader does not know',
  refusedAs: ['schema-unsupported'],
  make: (kit) => resigned(kit, kit.good.manifestBytes.toString().replace('"schema":1', '"schema":2')),
} satisfies Attack;
