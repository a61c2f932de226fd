import type { Attack } from '../../support/forge.ts';

export default {
  threat: 'a signed path that is no NixOS system',
  refusedAs: ['not-a-system'],
  onlyAtTarget: true,
  mayImport: true,
  make: async ({ noSystem }) => noSystem.whole,
} satisfies Attack;
