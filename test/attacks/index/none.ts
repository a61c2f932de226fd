import { type Attack, assemble } from '../../support/forge.ts';

export default {
  threat: 'an index that is not there, so that nothing is compared',
  refusedAs: ['bundle-malformed'],
  because: /the index does not follow the signatures/,
  make: ({ good }) => assemble({ ...good, members: good.members.filter((p) => p.name !== 'index') }),
} satisfies Attack;
