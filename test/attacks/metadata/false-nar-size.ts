import { type Attack, unchanged } from '../../support/forge.ts';
import { freshLines, type Line, linesOf, rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'a size that passes room checks',
  refusedAs: ['bundle-malformed'],
  because: /cannot use .*: Cannot create a Buffer larger than \d+ bytes/,
  control: unchanged,
  make: (kit) => {
    const fresh = new Set(freshLines(kit));
    const lines = linesOf(kit.good).map((line, n): Line => (fresh.has(n) ? (line.with(2, 1) as Line) : line));
    return rebuilt(kit, { lines });
  },
} satisfies Attack;
