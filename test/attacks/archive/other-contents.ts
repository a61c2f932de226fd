import { type Attack, assemble, unchanged } from '../../support/forge.ts';

export default {
  threat: 'a NAR is replaced by one of the same size',
  refusedAs: ['bundle-altered'],
  because: /^nar\/.* is damaged$/,
  control: unchanged,
  make: ({ good }) => {
    const last = good.members.at(-1) as (typeof good.members)[number];
    return assemble({
      ...good,
      members: [...good.members.slice(0, -1), { ...last, bytes: Buffer.alloc(last.bytes.length, 7) }],
    });
  },
} satisfies Attack;
