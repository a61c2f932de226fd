import type { Attack } from '../../support/forge.ts';
import { rebuilt, waysOf } from '../../support/forge-release.ts';

export default {
  threat: 'a path with so many ways to have it that choosing takes for ever',
  refusedAs: ['bundle-malformed'],
  because: /line 18: more than 16 say how/,
  make: (kit) => {
    const [first, ...more] = waysOf(kit.good);
    return rebuilt(kit, { ways: [...Array(17).fill(first), ...more] });
  },
} satisfies Attack;
