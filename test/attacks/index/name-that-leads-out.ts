import { type Attack, unchanged } from '../../support/forge.ts';
import { type Line, linesOf, rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'a path outside the store',
  refusedAs: ['manifest-malformed'],
  because: /line 1: it does not name a store path/,
  control: unchanged,
  make: (kit) => {
    const lines = linesOf(kit.good).map(
      (line, n): Line =>
        n === 0 ? (line.with(0, `${line[0].slice(0, 32)}-/../../../etc/passwd`) as Line) : line,
    );
    return rebuilt(kit, { lines });
  },
} satisfies Attack;
