import { type Attack, unchanged } from '../../support/forge.ts';
import { rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'signatures for Nix that are none',
  refusedAs: ['bundle-malformed'],
  because: /nix\.sig: the block of “fleet-1” is not a signature for each path/,
  control: unchanged,
  make: (kit) => rebuilt(kit, { nixSig: 'fleet-1\nnonsense\n' }),
} satisfies Attack;
