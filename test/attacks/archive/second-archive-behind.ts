import type { Attack } from '../../support/forge.ts';

export default {
  threat: 'a reader that goes on behind the end takes what nobody signed',
  refusedAs: ['bundle-trailing-data'],
  make: ({ good, other }) => Buffer.concat([good.whole, other.whole]),
} satisfies Attack;
