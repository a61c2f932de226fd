import { type Attack, unchanged } from '../../support/forge.ts';
import { type Line, linesOf, raised, rebuilt, waysOf } from '../../support/forge-release.ts';

export default {
  threat: 'a path with two hashes, of which one is checked and one used',
  refusedAs: ['manifest-malformed'],
  because: /line 2: it is out of order or a duplicate/,
  control: unchanged,
  make: (kit) => {
    const [first, ...more] = linesOf(kit.good) as [Line, ...Line[]];
    const again = first.with(1, '1'.repeat(52)) as Line;
    const lines = [
      first,
      again,
      ...more.map(
        (line) =>
          line.with(
            5,
            line[5].map((r) => r + 1),
          ) as Line,
      ),
    ];
    return rebuilt(kit, { lines, ways: raised(waysOf(kit.good)) });
  },
} satisfies Attack;
