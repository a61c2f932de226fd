import { type Attack, unchanged } from '../../support/forge.ts';
import { rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'totals that pass room checks and limits',
  refusedAs: ['manifest-malformed'],
  because: /its total of narBytes does not match its index/,
  control: unchanged,
  make: (kit) => {
    const { totals } = kit.good.manifest;
    return rebuilt(kit, { manifest: { totals: { ...totals, narBytes: totals.largestNar } } });
  },
} satisfies Attack;
