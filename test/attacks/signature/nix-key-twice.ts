import { type Attack, bytesOf } from '../../support/forge.ts';
import { rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'two signatures under one name, of which readers take one or the other',
  refusedAs: ['bundle-malformed'],
  because: /does not begin with a new key name/,
  control: (kit) => {
    const block = bytesOf(kit.good, 'nix.sig').toString();
    return rebuilt(kit, { nixSig: block + block.replace(/^.*$/m, 'other-1') });
  },
  make: (kit) => rebuilt(kit, { nixSig: bytesOf(kit.good, 'nix.sig').toString().repeat(2) }),
} satisfies Attack;
