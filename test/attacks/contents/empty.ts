import { type Attack, unchanged } from '../../support/forge.ts';
import { rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'contents that belong to no manifest',
  refusedAs: ['bundle-malformed'],
  because: /contents: it is empty/,
  control: unchanged,
  make: (kit) => rebuilt(kit, { contents: '' }),
} satisfies Attack;
