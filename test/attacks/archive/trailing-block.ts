import type { Attack } from '../../support/forge.ts';

export default {
  threat: 'bytes that nobody signed ride along',
  refusedAs: ['bundle-trailing-data'],
  make: ({ good }) => Buffer.concat([good.whole, Buffer.alloc(512)]),
} satisfies Attack;
