import { type Attack, assemble, unchanged } from '../../support/forge.ts';

export default {
  threat: 'a member that nobody signed',
  refusedAs: ['bundle-malformed', 'bundle-trailing-data'],
  because: /after the last member/,
  control: unchanged,
  make: ({ good }) =>
    assemble({ ...good, members: [...good.members, { name: 'nar/extra.nar.zst', bytes: Buffer.from('x') }] }),
} satisfies Attack;
