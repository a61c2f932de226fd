import { zstdCompressSync } from 'node:zlib';
import type { Attack } from '../../support/forge.ts';
import { delta, genuineDelta, rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'a difference that yields other contents than were signed',
  refusedAs: ['bundle-malformed'],
  because: /its contents are not what was signed/,
  onlyAtTarget: true,
  control: (kit) => rebuilt(kit, { pieces: [genuineDelta(kit)] }),
  make: (kit) => {
    const [line, , , , ...base] = genuineDelta(kit).way;
    // A frame that makes no use of the base at all.
    return rebuilt(kit, { pieces: [delta(Number(line), zstdCompressSync(Buffer.from('evil')), base)] });
  },
} satisfies Attack;
