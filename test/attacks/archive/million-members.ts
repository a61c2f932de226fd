import { type Attack, sha256, unchanged } from '../../support/forge.ts';
import { rebuilt, rows, waysOf } from '../../support/forge-release.ts';

export default {
  threat: 'contents that list more pieces than memory holds',
  refusedAs: ['bundle-malformed'],
  because: /contents has \d+ bytes; the limit is \d+/,
  control: unchanged,
  make: (kit) => {
    const ways = waysOf(kit.good);
    const many = rows(ways.slice(0, 1)).repeat(500_000);
    return rebuilt(kit, { ways, contents: rows([sha256(kit.good.manifestBytes)]) + many });
  },
} satisfies Attack;
