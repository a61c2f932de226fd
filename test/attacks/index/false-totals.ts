import { type Attack, unchanged } from '../../support/forge.ts';
import { rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'totals that make room checks and limits pass',
  refusedAs: ['manifest-malformed'],
  because: /its total of narBytes does not match its index/,
  control: unchanged,
  make: (kit) => {
    const { totals } = kit.good.manifest;
    return rebuilt(kit, { manifest: { totals: { ...totals, narBytes: totals.largestNar } } });
  },
} satisfies Attack;
