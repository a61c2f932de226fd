import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'a key that is given twice: readers disagree on which counts',
  refusedAs: ['manifest-malformed'],
  because: /it is not in canonical form/,
  make: (kit) =>
    resigned(kit, kit.good.manifestBytes.toString().replace('"host":"web"', '"host":"mail","host":"web"')),
} satisfies Attack;
