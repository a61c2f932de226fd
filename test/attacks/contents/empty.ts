import type { Attack } from '../../support/forge.ts';
import { rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'contents that belong to no manifest',
  refusedAs: ['bundle-malformed'],
  because: /contents: it is empty/,
  make: (kit) => rebuilt(kit, { contents: '' }),
} satisfies Attack;
