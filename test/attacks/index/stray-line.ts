import { type Attack, unchanged } from '../../support/forge.ts';
import { type Line, linesOf, raised, rebuilt, waysOf } from '../../support/forge-release.ts';

export default {
  threat: 'a path that nothing refers to is imported too',
  refusedAs: ['manifest-malformed'],
  because: /line 1: nothing refers to it/,
  control: unchanged,
  make: (kit) => {
    const lines = linesOf(kit.good);
    const stray: Line = [`${'0'.repeat(32)}-stray`, '1'.repeat(52), 100, 1, 1, [], ''];
    // The first of all names: every number rises by one.
    const shifted = lines.map(
      (line): Line =>
        line.with(
          5,
          line[5].map((r) => r + 1),
        ) as Line,
    );
    return rebuilt(kit, { lines: [stray, ...shifted], ways: raised(waysOf(kit.good)) });
  },
} satisfies Attack;
