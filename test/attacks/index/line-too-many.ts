import { type Attack, assemble, bytesOf, unchanged, withBytes } from '../../support/forge.ts';
import { linesOf, rows } from '../../support/forge-release.ts';

export default {
  threat: 'a path that nobody signed rides along',
  refusedAs: ['bundle-malformed'],
  because: /index has \d+ bytes; the limit is \d+/,
  control: unchanged,
  make: ({ good }) => {
    const [first] = linesOf(good);
    const index = Buffer.concat([bytesOf(good, 'index'), Buffer.from(rows([first]))]);
    return assemble({ ...good, members: withBytes(good, 'index', index) });
  },
} satisfies Attack;
