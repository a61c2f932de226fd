import { type Attack, unchanged } from '../../support/forge.ts';
import { rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'objects within objects, which take a hundred times their own memory to parse',
  refusedAs: ['bundle-malformed'],
  because: /contents has 2000002 bytes; the limit is \d+/,
  control: unchanged,
  make: (kit) => rebuilt(kit, { contents: `${'{"":'.repeat(400_000)}0${'}'.repeat(400_000)}\n` }),
} satisfies Attack;
