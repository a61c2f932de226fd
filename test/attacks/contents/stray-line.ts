import { type Attack, sha256, unchanged } from '../../support/forge.ts';
import { linesOf, rebuilt, rows, waysOf } from '../../support/forge-release.ts';

export default {
  threat: 'a piece of a path that nobody signed',
  refusedAs: ['bundle-malformed'],
  because: /the index has no such line/,
  control: unchanged,
  make: (kit) => {
    const [, kind, size, digest] = waysOf(kit.good).at(-1) ?? [];
    const stray = [linesOf(kit.good).length, kind, size, digest];
    return rebuilt(kit, { contents: rows([sha256(kit.good.manifestBytes), ...waysOf(kit.good), stray]) });
  },
} satisfies Attack;
