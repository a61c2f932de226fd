import { type Attack, unchanged } from '../../support/forge.ts';

export default {
  threat: 'a reader that continues past the end takes what nobody signed',
  refusedAs: ['bundle-trailing-data'],
  because: /the file has \d+ bytes; the manifest lists \d+/,
  mayStillCome: true,
  control: unchanged,
  make: ({ good, other }) => Buffer.concat([good.whole, other.whole]),
} satisfies Attack;
