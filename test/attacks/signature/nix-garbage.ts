import { type Attack, unchanged } from '../../support/forge.ts';
import { rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'signatures for Nix that are not signatures',
  refusedAs: ['bundle-malformed'],
  because: /nix\.sig: the block for “fleet-1” does not have exactly one signature for each path/,
  control: unchanged,
  make: (kit) => rebuilt(kit, { nixSig: 'fleet-1\nnonsense\n' }),
} satisfies Attack;
