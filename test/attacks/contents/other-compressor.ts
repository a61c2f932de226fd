import { gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { Attack } from '../../support/forge.ts';
import { freshLines, pieceOf, rebuilt, whole } from '../../support/forge-release.ts';

export default {
  threat: 'a file for another decompressor',
  refusedAs: ['bundle-malformed'],
  because: /cannot use .*: Unknown frame/,
  control: (kit) => {
    const [line = 0] = freshLines(kit);
    const nar = zstdDecompressSync(pieceOf(kit.good, line));
    return rebuilt(kit, { pieces: [whole(line, zstdCompressSync(nar))] });
  },
  make: (kit) => {
    const [line = 0] = freshLines(kit);
    return rebuilt(kit, { pieces: [whole(line, gzipSync(zstdDecompressSync(pieceOf(kit.good, line))))] });
  },
} satisfies Attack;
