import { type Attack, bytesOf, type Kit } from '../../support/forge.ts';
import { rebuilt } from '../../support/forge-release.ts';

function withKeys(kit: Kit, length: number): Buffer {
  const [, ...signatures] = bytesOf(kit.good, 'nix.sig').toString().split('\n');
  const blocks = Array.from({ length }, (_, n) => [`key-${n}`, ...signatures].join('\n'));
  return rebuilt(kit, { nixSig: blocks.join('') });
}

export default {
  threat: 'endless keys that sign for Nix',
  refusedAs: ['bundle-malformed'],
  because: /nix\.sig: it has more than 64 keys/,
  control: (kit) => withKeys(kit, 64),
  make: (kit) => withKeys(kit, 65),
} satisfies Attack;
