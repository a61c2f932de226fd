import { zstdCompressSync } from 'node:zlib';
import type { Attack } from '../../support/forge.ts';
import { delta, genuineDelta, rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'a difference that expands without end',
  refusedAs: ['bundle-malformed'],
  because: /cannot use .*: Cannot create a Buffer larger than \d+ bytes/,
  onlyAtTarget: true,
  control: (kit) => rebuilt(kit, { pieces: [genuineDelta(kit)] }),
  make: (kit) => {
    const [line, , , , ...base] = genuineDelta(kit).way;
    // A frame that makes no use of the base at all.
    return rebuilt(kit, {
      pieces: [delta(Number(line), zstdCompressSync(Buffer.alloc(256 * 1024 * 1024)), base)],
    });
  },
} satisfies Attack;
