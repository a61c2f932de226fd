import { type Attack, assemble, unchanged } from '../../support/forge.ts';

export default {
  threat: 'a missing index, so that nothing is compared',
  refusedAs: ['bundle-malformed'],
  because: /the signatures are not followed by the index/,
  control: unchanged,
  make: ({ good }) => assemble({ ...good, members: good.members.filter((p) => p.name !== 'index') }),
} satisfies Attack;
