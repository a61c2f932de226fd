import { type Attack, unchanged } from '../../support/forge.ts';
import { rebuilt, waysOf } from '../../support/forge-release.ts';

export default {
  threat: 'a piece far larger than what it holds, to be read to its end',
  refusedAs: ['bundle-malformed'],
  because: /contents: line 2: its size is invalid/,
  control: unchanged,
  make: (kit) => {
    const ways = waysOf(kit.good).map((way, n) => (n === 0 ? way.with(2, 2 ** 40) : way));
    return rebuilt(kit, { ways });
  },
} satisfies Attack;
