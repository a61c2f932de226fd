import { type Attack, bytesOf, unchanged } from '../../support/forge.ts';
import { rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'one list in two spellings',
  refusedAs: ['bundle-malformed'],
  because: /contents: line 2 is not in canonical form/,
  control: unchanged,
  make: (kit) =>
    rebuilt(kit, { contents: bytesOf(kit.good, 'contents').toString().replace(',"whole"', ', "whole"') }),
} satisfies Attack;
