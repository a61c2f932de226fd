import type { Attack } from '../../support/forge.ts';

export default {
  threat: 'an empty file that is waited for, or crashes a reader',
  refusedAs: ['bundle-truncated'],
  make: () => Buffer.alloc(0),
} satisfies Attack;
