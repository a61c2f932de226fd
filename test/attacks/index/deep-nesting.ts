import { type Attack, unchanged } from '../../support/forge.ts';
import { rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'nesting that exhausts the stack',
  refusedAs: ['manifest-malformed'],
  because: /index: line 1 is not in canonical form/,
  control: unchanged,
  make: (kit) => rebuilt(kit, { index: `${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}\n` }),
} satisfies Attack;
