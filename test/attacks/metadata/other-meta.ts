import { type Attack, assemble } from '../../support/forge.ts';

export default {
  threat: 'meta names another system than the manifest',
  refusedAs: ['bundle-altered', 'bundle-malformed'],
  make: ({ good, old }) =>
    assemble({ ...good, members: good.members.map((p, i) => (i === 0 ? (old.members[0] ?? p) : p)) }),
} satisfies Attack;
