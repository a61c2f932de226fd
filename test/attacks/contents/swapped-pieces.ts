import type { Attack } from '../../support/forge.ts';
import { freshLines, pieceOf, rebuilt, whole } from '../../support/forge-release.ts';

export default {
  threat: 'genuine files under each other’s names',
  refusedAs: ['bundle-malformed'],
  because:
    /cannot use .*: (Cannot create a Buffer larger than|its contents are not what was signed|it does not unpack to the NAR)/,
  control: (kit) =>
    rebuilt(kit, { pieces: freshLines(kit).map((line) => whole(line, pieceOf(kit.good, line))) }),
  make: (kit) => {
    const [one = 0, ...more] = freshLines(kit);
    const two = more.at(-1) ?? 0;
    const pieces = [whole(one, pieceOf(kit.good, two)), whole(two, pieceOf(kit.good, one))];
    return rebuilt(kit, { pieces });
  },
} satisfies Attack;
