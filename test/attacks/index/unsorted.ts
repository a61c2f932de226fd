import type { Attack } from '../../support/forge.ts';
import { type Line, linesOf, rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'one closure with two indexes',
  refusedAs: ['manifest-malformed'],
  because: /it is out of order, or listed twice/,
  make: (kit) => {
    const [one, two, ...more] = linesOf(kit.good) as [Line, Line, ...Line[]];
    const exchange = (r: number) => (r === 0 ? 1 : r === 1 ? 0 : r);
    const lines = [two, one, ...more].map(
      (line) =>
        line.with(
          5,
          line[5].map(exchange).sort((a, b) => a - b),
        ) as Line,
    );
    return rebuilt(kit, { lines, ways: [] });
  },
} satisfies Attack;
