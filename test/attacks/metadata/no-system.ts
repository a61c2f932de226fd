import type { Attack } from '../../support/forge.ts';
import { linesOf } from '../../support/forge-release.ts';

export default {
  threat: 'a signed path that is no NixOS system',
  refusedAs: ['not-a-system'],
  onlyAtTarget: true,
  mayImport: ({ noSystem }) => linesOf(noSystem).map(([name]) => `/nix/store/${name}`),
  make: async ({ noSystem }) => noSystem.whole,
} satisfies Attack;
