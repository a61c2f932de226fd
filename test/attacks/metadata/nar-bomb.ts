import { constants, zstdCompressSync } from 'node:zlib';
import { type Attack, unchanged } from '../../support/forge.ts';
import { freshLines, rebuilt, whole } from '../../support/forge-release.ts';

export default {
  threat: 'a NAR that expands far beyond its size',
  refusedAs: ['bundle-malformed'],
  because: /cannot use .*: Cannot create a Buffer larger than \d+ bytes/,
  control: unchanged,
  make: (kit) => {
    const [line = 0] = freshLines(kit);
    // Within the largest window that is taken.
    const params = { [constants.ZSTD_c_windowLog]: 20 };
    return rebuilt(kit, {
      pieces: [whole(line, zstdCompressSync(Buffer.alloc(256 * 1024 * 1024), { params }))],
    });
  },
} satisfies Attack;
