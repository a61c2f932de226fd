import type { Attack } from '../../support/forge.ts';
import { freshLines, pieceOf, rebuilt, whole } from '../../support/forge-release.ts';

export default {
  threat: 'one file with two sizes: what is checked is not what is used',
  refusedAs: ['bundle-altered'],
  make: (kit) => {
    const [one = 0, ...more] = freshLines(kit);
    const two = more.at(-1) ?? 0;
    const { way, bytes } = whole(one, pieceOf(kit.good, one));
    return rebuilt(kit, {
      pieces: [
        { way, bytes },
        { way: [two, 'whole', bytes.length + 512, way[3]], bytes },
      ],
    });
  },
} satisfies Attack;
