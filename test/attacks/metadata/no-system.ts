import { type Attack, unchanged } from '../../support/forge.ts';
import { linesOf } from '../../support/forge-release.ts';

export default {
  threat: 'a signed path that is not a NixOS system',
  refusedAs: ['not-a-system'],
  because: /has no nixos-version file/,
  onlyAtTarget: true,
  mayImport: ({ noSystem }) => linesOf(noSystem).map(([name]) => `/nix/store/${name}`),
  control: unchanged,
  make: async ({ noSystem }) => noSystem.whole,
} satisfies Attack;
