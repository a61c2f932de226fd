import type { Attack } from '../../support/forge.ts';
import { freshLines, linesOf, pieceOf, rebuilt, whole } from '../../support/forge-release.ts';

export default {
  threat: 'one file with two sizes: what is checked is not what is used',
  refusedAs: ['bundle-altered', 'bundle-malformed'],
  make: (kit) => {
    const fresh = freshLines(kit);
    const [line = 0] = fresh;
    const there = linesOf(kit.good).findIndex((_, n) => !fresh.includes(n));
    const { way, bytes } = whole(there, pieceOf(kit.good, line));
    // The first, with the right size, is of a path that the target has: nothing reads it again.
    return rebuilt(kit, {
      pieces: [
        { way, bytes },
        { way: [line, 'whole', bytes.length + 512, way[3]], bytes },
      ],
    });
  },
} satisfies Attack;
