import { type Attack, unchanged } from '../../support/forge.ts';

export default {
  threat: 'bytes that nobody signed ride along',
  refusedAs: ['bundle-trailing-data'],
  because: /it has \d+ bytes, \d+ are announced/,
  mayStillCome: true,
  control: unchanged,
  make: ({ good }) => Buffer.concat([good.whole, Buffer.alloc(512)]),
} satisfies Attack;
