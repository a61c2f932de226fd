import { zstdDecompressSync } from 'node:zlib';
import type { Attack } from '../../support/forge.ts';
import { freshLines, pieceOf, rebuilt, whole } from '../../support/forge-release.ts';

/** A frame of one raw block (RFC 8878, 3.1.1), which says that it needs a window of 128 MiB and needs none. */
function framed(bytes: Buffer): Buffer {
  const header = Buffer.from('28b52ffd0088', 'hex');
  const block = Buffer.alloc(3);
  block.writeUIntLE((bytes.length << 3) | 1, 0, 3);
  return Buffer.concat([header, block, bytes]);
}

export default {
  threat: 'a file whose window takes all memory',
  refusedAs: ['bundle-malformed'],
  because: /Frame requires too much memory/,
  make: (kit) => {
    const [line = 0] = freshLines(kit);
    const nar = zstdDecompressSync(pieceOf(kit.good, line));
    return rebuilt(kit, { pieces: [whole(line, framed(nar))] });
  },
} satisfies Attack;
