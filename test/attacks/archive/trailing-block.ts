import { type Attack, unchanged } from '../../support/forge.ts';

export default {
  threat: 'bytes that nobody signed ride along',
  refusedAs: ['bundle-trailing-data'],
  because: /the file has \d+ bytes; the manifest lists \d+/,
  mayStillCome: true,
  control: unchanged,
  make: ({ good }) => Buffer.concat([good.whole, Buffer.alloc(512)]),
} satisfies Attack;
