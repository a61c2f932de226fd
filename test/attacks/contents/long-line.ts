import { type Attack, unchanged } from '../../support/forge.ts';
import { rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'one line of endless numbers: memory runs out before the first is checked',
  refusedAs: ['bundle-malformed'],
  because: /contents has 60000004 bytes; the limit is \d+/,
  control: unchanged,
  make: (kit) => rebuilt(kit, { contents: `[0${',0'.repeat(30_000_000)}]\n` }),
} satisfies Attack;
