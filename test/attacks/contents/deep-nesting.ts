import type { Attack } from '../../support/forge.ts';
import { rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'brackets within brackets, which take a hundred times their own memory when they are parsed',
  refusedAs: ['bundle-malformed'],
  because: /contents: line 1 is not in canonical form/,
  make: (kit) => rebuilt(kit, { contents: `${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}\n` }),
} satisfies Attack;
