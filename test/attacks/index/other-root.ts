import { type Attack, unchanged } from '../../support/forge.ts';
import { linesOf, rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'the index does not end with the signed system',
  refusedAs: ['manifest-malformed'],
  because: /its last line is not \/nix\/store\//,
  control: unchanged,
  make: (kit) => rebuilt(kit, { lines: linesOf(kit.old) }),
} satisfies Attack;
