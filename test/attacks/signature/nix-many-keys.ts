import { type Attack, bytesOf } from '../../support/forge.ts';
import { rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'keys without end that sign for Nix',
  refusedAs: ['bundle-malformed'],
  because: /nix\.sig: it has more than 64 keys/,
  make: (kit) => {
    const [, ...signatures] = bytesOf(kit.good, 'nix.sig').toString().split('\n');
    const blocks = Array.from({ length: 20_000 }, (_, n) => [`key-${n}`, ...signatures].join('\n'));
    return rebuilt(kit, { nixSig: blocks.join('') });
  },
} satisfies Attack;
