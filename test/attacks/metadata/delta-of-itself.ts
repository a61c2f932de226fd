import type { Attack } from '../../support/forge.ts';
import { delta, freshLines, linesOf, pieceOf, rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'a path that is to be restored from itself, before it is there',
  refusedAs: ['base-missing'],
  because: /(?:is|are) not there, and the bundle relies on it/,
  onlyAtTarget: true,
  make: (kit) => {
    const [line = 0] = freshLines(kit);
    const own = linesOf(kit.good)[line] ?? [];
    return rebuilt(kit, { pieces: [delta(line, pieceOf(kit.good, line), own)] });
  },
} satisfies Attack;
