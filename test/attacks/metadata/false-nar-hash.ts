import { type Attack, unchanged } from '../../support/forge.ts';
import { freshLines, type Line, linesOf, rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'contents that are not what the index says, in index, signatures and narinfo alike',
  refusedAs: ['bundle-malformed'],
  because: /cannot use .*: (its contents are not what was signed|it does not unpack to the NAR)/,
  control: unchanged,
  make: (kit) => {
    const fresh = new Set(freshLines(kit));
    const lines = linesOf(kit.good).map(
      (line, n): Line => (fresh.has(n) ? (line.with(1, '1'.repeat(52)) as Line) : line),
    );
    return rebuilt(kit, { lines });
  },
} satisfies Attack;
