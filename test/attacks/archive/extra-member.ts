import { type Attack, assemble } from '../../support/forge.ts';

export default {
  threat: 'a member that nobody signed',
  refusedAs: ['bundle-malformed', 'bundle-trailing-data'],
  because: /between the last member and what follows/,
  make: ({ good }) =>
    assemble({ ...good, members: [...good.members, { name: 'nar/extra.nar.zst', bytes: Buffer.from('x') }] }),
} satisfies Attack;
