import { zstdCompressSync } from 'node:zlib';
import { type Attack, unchanged } from '../../support/forge.ts';

export default {
  threat: 'a compressed file that expands without end',
  refusedAs: ['not-a-bundle'],
  because: /it does not begin with a manifest/,
  control: unchanged,
  make: () => zstdCompressSync(Buffer.alloc(64 * 1024 * 1024)),
} satisfies Attack;
