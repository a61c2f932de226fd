import { type Attack, assemble, unchanged } from '../../support/forge.ts';

export default {
  threat: 'a member that nobody signed',
  refusedAs: ['bundle-malformed', 'bundle-trailing-data'],
  because: /between the last member and what follows/,
  control: unchanged,
  make: ({ good }) =>
    assemble({ ...good, members: [...good.members, { name: 'nar/extra.nar.zst', bytes: Buffer.from('x') }] }),
} satisfies Attack;
