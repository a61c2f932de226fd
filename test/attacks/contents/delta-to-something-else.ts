import { zstdCompressSync } from 'node:zlib';
import type { Attack } from '../../support/forge.ts';
import { delta, freshLines, linesOf, rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'a difference that gives other contents than were signed',
  refusedAs: ['bundle-malformed'],
  because: /it gives other contents than were signed/,
  onlyAtTarget: true,
  make: (kit) => {
    const [line = 0] = freshLines(kit);
    const base = linesOf(kit.running).at(-1) ?? [];
    // A frame that makes no use of the base at all.
    return rebuilt(kit, { pieces: [delta(line, zstdCompressSync(Buffer.from('evil')), base)] });
  },
} satisfies Attack;
