import { type Attack, assemble, unchanged, withBytes } from '../../support/forge.ts';
import { linesOf, rows } from '../../support/forge-release.ts';

export default {
  threat: 'one path’s hash differs from what was signed',
  refusedAs: ['bundle-altered'],
  because: /the index does not match what was signed/,
  control: unchanged,
  make: ({ good }) => {
    const lines = linesOf(good).map((line, n) => (n === 0 ? line.with(1, '1'.repeat(52)) : line));
    return assemble({ ...good, members: withBytes(good, 'index', rows(lines)) });
  },
} satisfies Attack;
