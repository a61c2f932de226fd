import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'a number that is rounded when it is read',
  refusedAs: ['manifest-malformed'],
  because: /sequence: Too big/,
  control: (kit) =>
    resigned(kit, kit.good.manifestBytes.toString().replace(/"sequence":\d+/, '"sequence":201')),
  make: (kit) =>
    resigned(kit, kit.good.manifestBytes.toString().replace(/"sequence":\d+/, '"sequence":9007199254740993')),
} satisfies Attack;
