import { type Attack, assemble } from '../../support/forge.ts';

export default {
  threat: 'names and contents are exchanged',
  refusedAs: ['bundle-malformed'],
  make: ({ good }) => assemble({ ...good, members: good.members.toReversed() }),
} satisfies Attack;
