import { type Attack, assemble } from '../../support/forge.ts';

export default {
  threat: 'a part of the system is left out',
  refusedAs: ['bundle-truncated', 'bundle-malformed'],
  make: ({ good }) => assemble({ ...good, members: good.members.slice(0, -1) }),
} satisfies Attack;
