import { gzipSync } from 'node:zlib';
import type { Attack } from '../../support/forge.ts';

export default {
  threat: 'a compressed file that unfolds without end',
  refusedAs: ['not-a-bundle'],
  make: () => gzipSync(Buffer.alloc(64 * 1024 * 1024)),
} satisfies Attack;
