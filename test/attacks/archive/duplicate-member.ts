import { type Attack, assemble } from '../../support/forge.ts';

export default {
  threat: 'two members of one name: what is checked is not what is used',
  refusedAs: ['bundle-malformed'],
  make: ({ good }) =>
    assemble({ ...good, members: good.members.flatMap((p, i) => (i === 1 ? [p, p] : [p])) }),
} satisfies Attack;
