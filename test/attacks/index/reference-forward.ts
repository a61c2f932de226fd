import { type Attack, unchanged } from '../../support/forge.ts';
import { type Line, linesOf, rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'a path that refers to one that comes later, in a ring',
  refusedAs: ['manifest-malformed'],
  because: /line 1: its references are not ascending numbers of earlier lines/,
  control: unchanged,
  make: (kit) => {
    const lines = linesOf(kit.good);
    const ring = lines.map((line, n): Line => (n === 0 ? (line.with(5, [lines.length - 1]) as Line) : line));
    return rebuilt(kit, { lines: ring });
  },
} satisfies Attack;
