import { type Attack, assemble, unchanged, withBytes } from '../../support/forge.ts';
import { linesOf, rows } from '../../support/forge-release.ts';

export default {
  threat: 'a path that was signed is left out',
  refusedAs: ['bundle-malformed'],
  because: /the signatures are not followed by the index/,
  control: unchanged,
  make: ({ good }) => assemble({ ...good, members: withBytes(good, 'index', rows(linesOf(good).slice(1))) }),
} satisfies Attack;
