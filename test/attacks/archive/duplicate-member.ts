import { type Attack, assemble, unchanged } from '../../support/forge.ts';

export default {
  threat: 'two members of one name: what is checked is not what is used',
  refusedAs: ['bundle-malformed'],
  because: /header of nix-cache-info/,
  control: unchanged,
  make: ({ good }) =>
    assemble({ ...good, members: good.members.flatMap((p) => (p.name === 'meta' ? [p, p] : [p])) }),
} satisfies Attack;
