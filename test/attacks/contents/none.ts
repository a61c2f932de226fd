import { type Attack, assemble } from '../../support/forge.ts';

export default {
  threat: 'contents that are not there',
  refusedAs: ['bundle-malformed'],
  because: /contents is not in its place/,
  make: ({ good }) => assemble({ ...good, members: good.members.filter((p) => p.name !== 'contents') }),
} satisfies Attack;
