import { type Attack, assemble, unchanged } from '../../support/forge.ts';

export default {
  threat: 'part of the system is left out',
  refusedAs: ['bundle-truncated', 'bundle-malformed'],
  because: /the header of nar\/.* does not match the manifest|[\d.]+ \w+ of [\d.]+ \w+ are here/,
  control: unchanged,
  make: ({ good }) => assemble({ ...good, members: good.members.slice(0, -1) }),
} satisfies Attack;
