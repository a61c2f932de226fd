import type { Attack } from '../../support/forge.ts';
import { rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'one line with numbers without end: memory runs out before the first is looked at',
  refusedAs: ['bundle-malformed'],
  because: /contents: line 1 is longer than 2097152 bytes/,
  make: (kit) => rebuilt(kit, { contents: `[0${',0'.repeat(30_000_000)}]\n` }),
} satisfies Attack;
