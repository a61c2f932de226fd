import { zstdCompressSync } from 'node:zlib';
import type { Attack } from '../../support/forge.ts';
import { delta, freshLines, linesOf, rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'a difference that unfolds without end',
  refusedAs: ['bundle-malformed'],
  because: /can’t be used/,
  onlyAtTarget: true,
  make: (kit) => {
    const [line = 0] = freshLines(kit);
    const base = linesOf(kit.running).at(-1) ?? [];
    return rebuilt(kit, { pieces: [delta(line, zstdCompressSync(Buffer.alloc(256 * 1024 * 1024)), base)] });
  },
} satisfies Attack;
