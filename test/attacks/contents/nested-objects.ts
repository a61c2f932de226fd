import type { Attack } from '../../support/forge.ts';
import { rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'objects within objects, which take a hundred times their own memory when they are parsed',
  refusedAs: ['bundle-malformed'],
  because: /contents: line 1 is not in canonical form/,
  make: (kit) => rebuilt(kit, { contents: `${'{"":'.repeat(400_000)}0${'}'.repeat(400_000)}\n` }),
} satisfies Attack;
