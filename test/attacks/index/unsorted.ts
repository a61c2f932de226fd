import { type Attack, unchanged } from '../../support/forge.ts';
import { type Line, linesOf, rebuilt, waysOf } from '../../support/forge-release.ts';

export default {
  threat: 'one closure with two indexes',
  refusedAs: ['manifest-malformed'],
  because: /it is out of order or a duplicate/,
  control: unchanged,
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
    const [first = [], second = [], ...others] = waysOf(kit.good);
    return rebuilt(kit, { lines, ways: [second.with(0, 0), first.with(0, 1), ...others] });
  },
} satisfies Attack;
