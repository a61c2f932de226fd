import { type Attack, unchanged } from '../../support/forge.ts';

export default {
  threat: 'an empty file that a reader waits for, or crashes on',
  refusedAs: ['bundle-truncated'],
  because: /the file ends at byte 0|it is empty/,
  control: unchanged,
  make: () => Buffer.alloc(0),
} satisfies Attack;
