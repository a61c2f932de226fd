import type { Attack } from '../../support/forge.ts';
import { freshLines, pieceOf, rebuilt, whole } from '../../support/forge-release.ts';

export default {
  threat: 'genuine files under each other’s paths',
  refusedAs: ['bundle-malformed'],
  because: /can’t be used/,
  make: (kit) => {
    const [one = 0, ...more] = freshLines(kit);
    const two = more.at(-1) ?? 0;
    const pieces = [whole(one, pieceOf(kit.good, two)), whole(two, pieceOf(kit.good, one))];
    return rebuilt(kit, { pieces });
  },
} satisfies Attack;
