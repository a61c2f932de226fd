import { zstdCompressSync } from 'node:zlib';
import type { Attack } from '../../support/forge.ts';
import { freshLines, pieceOf, rebuilt, whole } from '../../support/forge-release.ts';

export default {
  threat: 'a second frame behind the first: what is hashed is not what is used',
  refusedAs: ['bundle-malformed'],
  because: /can’t be used for/,
  make: (kit) => {
    const [line = 0] = freshLines(kit);
    const more = zstdCompressSync(Buffer.from('more'));
    return rebuilt(kit, { pieces: [whole(line, Buffer.concat([pieceOf(kit.good, line), more]))] });
  },
} satisfies Attack;
