import { type Attack, resigned, unchanged } from '../../support/forge.ts';

export default {
  threat: 'a key that changes what every object is',
  refusedAs: ['manifest-malformed'],
  because: /__proto__/,
  control: unchanged,
  make: (kit) =>
    resigned(
      kit,
      kit.good.manifestBytes.toString().replace('{"schema":2', '{"__proto__":{"host":"web"},"schema":2'),
    ),
} satisfies Attack;
