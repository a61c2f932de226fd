import { type Attack, resigned, unchanged } from '../../support/forge.ts';

export default {
  threat: 'a field that an older reader ignores and a newer one obeys',
  refusedAs: ['manifest-malformed'],
  because: /key: "run"/,
  control: unchanged,
  make: (kit) =>
    resigned(kit, kit.good.manifestBytes.toString().replace('{"schema":2', '{"schema":2,"run":"sh"')),
} satisfies Attack;
