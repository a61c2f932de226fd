import { type Attack, sha256, unchanged } from '../../support/forge.ts';
import { rebuilt, rows, waysOf } from '../../support/forge-release.ts';

export default {
  threat: 'readers that disagree on which piece is meant',
  refusedAs: ['bundle-malformed'],
  because: /contents: line 3: it is out of order/,
  control: unchanged,
  make: (kit) =>
    rebuilt(kit, { contents: rows([sha256(kit.good.manifestBytes), ...waysOf(kit.good).reverse()]) }),
} satisfies Attack;
