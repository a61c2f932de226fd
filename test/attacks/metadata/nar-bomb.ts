import { createHash } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import { encodeNix32 } from '../../../src/core/nix32.ts';
import { type Attack, type Part, resigned, sha256 } from '../../support/forge.ts';

export default {
  threat: 'a NAR that unfolds far beyond its size',
  refusedAs: ['bundle-malformed'],
  onlyAtTarget: true,
  make: (kit) => {
    const { good } = kit;
    const bomb = zstdCompressSync(Buffer.alloc(256 * 1024 * 1024));
    const fileHash = encodeNix32(createHash('sha256').update(bomb).digest());
    const victim = good.members.find((p) => p.name.endsWith('.narinfo')) as Part;
    const url = /^URL: (.*)$/m.exec(victim.bytes.toString())?.[1] ?? '';
    const narinfo = victim.bytes
      .toString()
      .replace(/^URL: .*$/m, `URL: nar/${fileHash}.nar.zst`)
      .replace(/^FileHash: .*$/m, `FileHash: sha256:${fileHash}`)
      .replace(/^FileSize: .*$/m, `FileSize: ${bomb.length}`);
    const members = good.members
      .map((p) => (p === victim ? { ...p, bytes: Buffer.from(narinfo) } : p))
      .map((p) => (p.name === url ? { name: `nar/${fileHash}.nar.zst`, bytes: bomb } : p));
    const small = members.filter((p) => !p.name.startsWith('nar/'));
    const nars = members.filter((p) => p.name.startsWith('nar/')).sort((a, b) => (a.name < b.name ? -1 : 1));
    const all = [...small, ...nars];
    const listed = all.map(({ name, bytes }) => ({ name, size: bytes.length, sha256: sha256(bytes) }));
    return resigned(kit, { members: listed }, { members: all });
  },
} satisfies Attack;
