import { type Attack, unchanged } from '../../support/forge.ts';
import { linesOf, rebuilt, waysOf } from '../../support/forge-release.ts';

export default {
  threat: 'a system whose libraries are missing',
  refusedAs: ['manifest-malformed'],
  because: /line 1: its references are not ascending numbers of earlier lines/,
  control: unchanged,
  make: (kit) =>
    rebuilt(kit, {
      lines: linesOf(kit.good).slice(-1),
      ways: waysOf(kit.good)
        .slice(-1)
        .map((way) => way.with(0, 0)),
    }),
} satisfies Attack;
