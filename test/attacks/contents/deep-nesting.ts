import { type Attack, unchanged } from '../../support/forge.ts';
import { rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'brackets within brackets, which take a hundred times their own memory to parse',
  refusedAs: ['bundle-malformed'],
  because: /contents: line 1 is not in canonical form/,
  control: unchanged,
  make: (kit) => rebuilt(kit, { contents: `${'['.repeat(10_000)}${']'.repeat(10_000)}\n` }),
} satisfies Attack;
