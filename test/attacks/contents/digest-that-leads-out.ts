import { type Attack, unchanged } from '../../support/forge.ts';
import { rebuilt, waysOf } from '../../support/forge-release.ts';

export default {
  threat: 'a piece whose name leads out of a folder',
  refusedAs: ['bundle-malformed'],
  because: /contents: line 2: its digest is invalid/,
  control: unchanged,
  make: (kit) => {
    const ways = waysOf(kit.good).map((way) => way.with(3, `../../../${'1'.repeat(43)}`));
    return rebuilt(kit, { ways });
  },
} satisfies Attack;
