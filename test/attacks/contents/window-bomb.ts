import { zstdDecompressSync } from 'node:zlib';
import type { Attack, Kit } from '../../support/forge.ts';
import { freshLines, pieceOf, rebuilt, whole } from '../../support/forge-release.ts';

/** A frame of one raw block (RFC 8878, 3.1.1), which says that it needs a window, and needs none. @param window its descriptor */
function framed(bytes: Buffer, window: number): Buffer {
  const header = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, window]);
  const block = Buffer.alloc(3);
  block.writeUIntLE((bytes.length << 3) | 1, 0, 3);
  return Buffer.concat([header, block, bytes]);
}

function withWindow(kit: Kit, window: number): Buffer {
  const [line = 0] = freshLines(kit);
  const nar = zstdDecompressSync(pieceOf(kit.good, line));
  return rebuilt(kit, { pieces: [whole(line, framed(nar, window))] });
}

export default {
  threat: 'a file whose window takes all memory',
  refusedAs: ['bundle-malformed'],
  because: /Frame requires too much memory/,
  // 1 MiB.
  control: (kit) => withWindow(kit, 0x50),
  // 128 MiB.
  make: (kit) => withWindow(kit, 0x88),
} satisfies Attack;
