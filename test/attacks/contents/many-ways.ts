import type { Attack, Kit } from '../../support/forge.ts';
import { rebuilt, waysOf } from '../../support/forge-release.ts';

function withWays(kit: Kit, number: number): Buffer {
  const [first, ...more] = waysOf(kit.good);
  return rebuilt(kit, { ways: [...Array(number).fill(first), ...more] });
}

export default {
  threat: 'a path with so many ways to obtain it that choosing takes for ever',
  refusedAs: ['bundle-malformed'],
  because: /line 18: more than 16 pieces for one path/,
  control: (kit) => withWays(kit, 16),
  make: (kit) => withWays(kit, 17),
} satisfies Attack;
