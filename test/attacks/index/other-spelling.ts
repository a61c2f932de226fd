import { type Attack, bytesOf, unchanged } from '../../support/forge.ts';
import { rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'one index in two spellings',
  refusedAs: ['manifest-malformed'],
  because: /line 1 is not in canonical form/,
  control: unchanged,
  make: (kit) => rebuilt(kit, { index: bytesOf(kit.good, 'index').toString().replace('",', '", ') }),
} satisfies Attack;
