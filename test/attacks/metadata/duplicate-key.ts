import { type Attack, resigned, unchanged } from '../../support/forge.ts';

export default {
  threat: 'a key that appears twice: readers disagree on which counts',
  refusedAs: ['manifest-malformed'],
  because: /it is not in canonical form/,
  control: unchanged,
  make: (kit) =>
    resigned(kit, kit.good.manifestBytes.toString().replace('"host":"web"', '"host":"mail","host":"web"')),
} satisfies Attack;
