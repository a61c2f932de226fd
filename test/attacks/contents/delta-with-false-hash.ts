import type { Attack } from '../../support/forge.ts';
import { delta, freshLines, linesOf, pieceOf, rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'a difference to a path that holds something else',
  refusedAs: ['base-missing'],
  because: /is there, but was built elsewhere/,
  onlyAtTarget: true,
  make: (kit) => {
    const [line = 0] = freshLines(kit);
    const [base] = linesOf(kit.running).at(-1) ?? [];
    return rebuilt(kit, { pieces: [delta(line, pieceOf(kit.good, line), [base, '1'.repeat(52)])] });
  },
} satisfies Attack;
