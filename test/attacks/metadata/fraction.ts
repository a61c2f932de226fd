import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'a sequence between two others',
  refusedAs: ['manifest-malformed'],
  because: /sequence: .*expected int/,
  control: (kit) =>
    resigned(kit, kit.good.manifestBytes.toString().replace(/"sequence":\d+/, '"sequence":201')),
  make: (kit) =>
    resigned(kit, kit.good.manifestBytes.toString().replace(/"sequence":\d+/, '"sequence":200.5')),
} satisfies Attack;
