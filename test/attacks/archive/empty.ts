import { type Attack, unchanged } from '../../support/forge.ts';

export default {
  threat: 'an empty file that is waited for, or crashes a reader',
  refusedAs: ['bundle-truncated'],
  because: /the file ends at byte 0|it is empty/,
  control: unchanged,
  make: () => Buffer.alloc(0),
} satisfies Attack;
