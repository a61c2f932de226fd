import { type Attack, assemble, unchanged } from '../../support/forge.ts';

export default {
  threat: 'missing contents',
  refusedAs: ['bundle-malformed'],
  because: /contents is not where it belongs/,
  control: unchanged,
  make: ({ good }) => assemble({ ...good, members: good.members.filter((p) => p.name !== 'contents') }),
} satisfies Attack;
