import { type Attack, bytesOf } from '../../support/forge.ts';
import { rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'one index in two spellings',
  refusedAs: ['manifest-malformed'],
  because: /line 1 is not in canonical form/,
  make: (kit) => rebuilt(kit, { index: bytesOf(kit.good, 'index').toString().replace('",', '", ') }),
} satisfies Attack;
