import { type Attack, unchanged } from '../../support/forge.ts';

export default {
  threat: 'a reader that goes on behind the end takes what nobody signed',
  refusedAs: ['bundle-trailing-data'],
  because: /it has \d+ bytes, \d+ are announced/,
  mayStillCome: true,
  control: unchanged,
  make: ({ good, other }) => Buffer.concat([good.whole, other.whole]),
} satisfies Attack;
