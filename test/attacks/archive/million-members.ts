import type { Attack } from '../../support/forge.ts';
import { sha256 } from '../../support/forge.ts';
import { rebuilt, rows, waysOf } from '../../support/forge-release.ts';

export default {
  threat: 'contents that list more pieces than memory holds',
  refusedAs: ['bundle-malformed'],
  because: /more than 16 say how to have the same path/,
  make: (kit) => {
    const ways = waysOf(kit.good);
    const many = rows(ways.slice(0, 1)).repeat(500_000);
    return rebuilt(kit, { ways, contents: rows([sha256(kit.good.manifestBytes)]) + many });
  },
} satisfies Attack;
